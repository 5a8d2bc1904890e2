package roomtoken

import (
	"testing"

	"github.com/roomtoken/roomtoken/internal/monotime"
)

func TestRoomAtRestHasNoActivity(t *testing.T) {
	r := newRoom("r", monotime.Reading{})
	rests := func() bool { r.rest(); return r.activity == nil }
	r.setCall(nil)
	r.setDemand(nil)
	r.setFailure(nil)
	r.setNextAttempt(0)
	if r.activity != nil {
		t.Fatal("a room has an activity after zeros were set, want none")
	}
	if r.call() != nil || r.demand() != nil || r.failure() != nil || r.nextAttempt() != 0 {
		t.Fatal("a room at rest has a call, a demand, a failure or a next attempt, want none")
	}
	c, d, f := &call{}, &demand{}, &failureState{}
	for name, field := range map[string]struct {
		set, unset func()
		is         func() bool
	}{
		"call":        {func() { r.setCall(c) }, func() { r.setCall(nil) }, func() bool { return r.call() == c }},
		"demand":      {func() { r.setDemand(d) }, func() { r.setDemand(nil) }, func() bool { return r.demand() == d }},
		"failure":     {func() { r.setFailure(f) }, func() { r.setFailure(nil) }, func() bool { return r.failure() == f }},
		"nextAttempt": {func() { r.setNextAttempt(1) }, func() { r.setNextAttempt(0) }, func() bool { return r.nextAttempt() == 1 }},
	} {
		if field.set(); !field.is() {
			t.Errorf("%s is not what was set", name)
		}
		if rests() {
			t.Errorf("a room with a %s rests", name)
		}
		if field.unset(); field.is() {
			t.Errorf("%s is still set", name)
		}
		if !rests() {
			t.Errorf("a room does not rest once its %s is gone", name)
		}
	}
}

// Each renewal begins and ends an activity.
func TestActivityIsReused(t *testing.T) {
	r, c := newRoom("r", monotime.Reading{}), &call{}
	n := testing.AllocsPerRun(1000, func() {
		r.setCall(c)
		r.setCall(nil)
		r.rest()
	})
	if n != 0 {
		t.Errorf("%v allocations, want 0", n)
	}
}
