package roomtoken

import (
	"strings"
	"testing"
	"time"
)

func TestRecordKnowsItsRoom(t *testing.T) {
	ids := []string{"", "\x00", "\x00\x00", "a\x00b", "b"}
	for _, n := range []int{1, 2, maxShortID - 1, maxShortID, maxShortID + 1, maxRoomID} {
		a := strings.Repeat("a", n)
		ids = append(ids, a, a[1:]+"\x00", "a"+strings.Repeat("\x00", n), a[1:]+"b")
	}
	for _, id := range ids {
		r := newRecord(&room{}, id)
		if got := r.roomID(); got != id {
			t.Errorf("roomID() = %q, want %q", got, id)
		}
		if got := r.blank().roomID(); got != id {
			t.Errorf("blank().roomID() = %q, want %q", got, id)
		}
		for _, other := range ids {
			if got := r.is(other); got != (id == other) {
				t.Errorf("the record of %q is that of %q: %v", id, other, got)
			}
			if got := r.sameRoom(newRecord(&room{}, other)); got != (id == other) {
				t.Errorf("%q and %q are the same room: %v", id, other, got)
			}
		}
	}
}

func TestRecordNeeds(t *testing.T) {
	r := newRecord(&room{}, "r")
	for _, tt := range []struct {
		atLeast time.Duration
		want    uint32
	}{
		{-time.Hour, 0},
		{time.Second + time.Microsecond, 1000},
		{time.Millisecond, 1000},
		{time.Minute, 60_000},
		{1 << 62, 1<<32 - 1},
	} {
		if r.needs(tt.atLeast); r.need.Load() != tt.want {
			t.Errorf("need after needs(%v) = %d ms, want %d", tt.atLeast, r.need.Load(), tt.want)
		}
	}
	if need := r.blank().need.Load(); need != 0 {
		t.Errorf("need of the next record = %d ms, want 0", need)
	}
}
