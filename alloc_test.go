package roomtoken_test

import (
	"context"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/roomtoken/roomtoken"
)

// A hit does not allocate, whatever the length of the room ID.
func TestHitDoesNotAllocate(t *testing.T) {
	m, err := roomtoken.NewManager(&benchSource{lifetime: time.Hour}, roomtoken.Config{})
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	ctx := context.Background()
	for name, room := range map[string]string{
		"UUID":    "0ccc7b54-4df3-4bca-a65a-3da1ecc777f0",
		"short":   "r",
		"longest": strings.Repeat("r", 1024),
	} {
		if _, err := m.Token(ctx, room); err != nil {
			t.Fatal(err)
		}
		for call, f := range map[string]func(){
			"Token":         func() { _, _ = m.Token(ctx, room) },
			"TokenValidFor": func() { _, _ = m.TokenValidFor(ctx, room, time.Minute) },
			"Cached":        func() { _, _ = m.Cached(room) },
		} {
			if n := testing.AllocsPerRun(1000, f); n != 0 {
				t.Errorf("%s, room ID %s: %v allocations, want 0", call, name, n)
			}
		}
	}
}

// Allocations of a miss matter little compared with the call to the source, but they
// must not creep up.
func TestMissAllocations(t *testing.T) {
	m, err := roomtoken.NewManager(&benchSource{lifetime: time.Hour}, roomtoken.Config{})
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	ctx := context.Background()
	n := testing.AllocsPerRun(200, func() {
		m.Forget("r")
		_, _ = m.Token(ctx, "r")
	})
	if n > 45 { // 35 when this test was written
		t.Errorf("a miss makes %v allocations, including the source; want at most 45", n)
	}
}

// A renewal allocates the room ID for the source, the call with its ctx, and the record of
// the new token. Six allocations are the source's own. They must not creep up.
func TestRenewalAllocations(t *testing.T) {
	source := &benchSource{lifetime: 2 * time.Second}
	m, err := roomtoken.NewManager(source, roomtoken.Config{RefreshAfter: 1e-9}) // always due
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	if err := m.Warm(context.Background(), roomIDs(10_000)...); err != nil {
		t.Fatal(err)
	}
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	const renewals = 20_000
	for begun := source.minted.Load(); source.minted.Load() < begun+renewals; {
		runtime.Gosched()
	}
	runtime.ReadMemStats(&after)
	if n := float64(after.Mallocs-before.Mallocs) / renewals; n > 12 { // 9.1 when this test was written, 10.8 with the race detector
		t.Errorf("a renewal makes %.1f allocations, including the source; want at most 12", n)
	}
	if size := float64(after.TotalAlloc-before.TotalAlloc) / renewals; size > 700 { // 490 when this test was written, 630 with the race detector
		t.Errorf("a renewal allocates %.0f bytes, including the source; want at most 700", size)
	}
}
