package logbudget_test

import (
	"maps"
	"testing"
	"time"

	"github.com/roomtoken/roomtoken/internal/logbudget"
)

var epoch = time.Date(2026, 7, 1, 12, 0, 0, 0, time.UTC)

func TestBudget(t *testing.T) {
	var b logbudget.Budget
	allow := func(kind string, after time.Duration, want bool) {
		t.Helper()
		if got := b.Allow(kind, epoch.Add(after)); got != want {
			t.Errorf("%s after %v: allowed: %v, want %v", kind, after, got, want)
		}
	}
	skipped := func(after time.Duration, want map[string]int) {
		t.Helper()
		if got := maps.Collect(b.Skipped(epoch.Add(after))); !maps.Equal(got, want) {
			t.Errorf("skipped after %v: %v, want %v", after, got, want)
		}
	}
	skipped(0, nil)
	allow("a", 0, true)
	allow("a", time.Second, true)
	allow("a", 2*time.Second, false)
	allow("a", 3*time.Second, false)
	allow("b", 30*time.Second, true)
	skipped(time.Minute-1, nil)
	skipped(time.Minute, map[string]int{"a": 2})
	skipped(time.Minute, nil)
	allow("a", time.Minute, true)
	allow("b", time.Minute, true)
	allow("b", time.Minute, false)
	skipped(89*time.Second, nil)
	skipped(90*time.Second, map[string]int{"b": 1})
	allow("b", 90*time.Second, true)
}

// A clock that was set back does not keep a kind out of the log.
func TestClockSetBack(t *testing.T) {
	var b logbudget.Budget
	for range logbudget.PerMinute + 1 {
		b.Allow("a", epoch)
	}
	for kind, n := range b.Skipped(epoch.Add(-time.Hour)) {
		if kind != "a" || n != 1 {
			t.Errorf("%s: %d skipped, want a: 1", kind, n)
		}
		break
	}
	if !b.Allow("a", epoch.Add(-time.Hour)) {
		t.Error("not allowed")
	}
}
