package roomtoken

import (
	"fmt"
	"testing"

	"github.com/roomtoken/roomtoken/internal/monotime"
)

func TestMemoForgetsTheOldestFirst(t *testing.T) {
	var m memo
	failing := func(id string) *room {
		r := newRoom(id, monotime.Reading{})
		r.failures().transient = 1
		return r
	}
	remembered := func(id string) bool {
		fresh := newRoom(id, monotime.Reading{})
		m.restore(fresh, id)
		return fresh.failure() != nil
	}
	for i := range maxMemo {
		m.keep(failing(fmt.Sprint(i)), 0)
	}
	// Room 0 comes back and fails again: it is the newest now, though its old slot is
	// the first one that is used again.
	if !remembered("0") {
		t.Fatal("a room is not remembered")
	}
	m.keep(failing("0"), 0)
	m.keep(failing("new"), 0)
	for id, want := range map[string]bool{"0": true, "1": false, "2": true, "new": true} {
		if got := remembered(id); got != want {
			t.Errorf("room %q is remembered: %v, want %v", id, got, want)
		}
	}
	if m.keep(newRoom("healthy", monotime.Reading{}), 0); remembered("healthy") {
		t.Error("a room that has not failed is remembered")
	}
	m.keep(failing("x"), 0)
	if m.forget("x"); remembered("x") {
		t.Error("a room that was forgotten is remembered")
	}
}
