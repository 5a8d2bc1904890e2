package roomtoken_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/roomtoken/roomtoken"
)

// TestAHitDoesNotAllocate holds the ceiling of the hot path, whatever the length
// of the room ID.
func TestAHitDoesNotAllocate(t *testing.T) {
	m, err := roomtoken.NewManager(&benchSource{lifetime: time.Hour}, roomtoken.Config{})
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	ctx := context.Background()
	for name, room := range map[string]string{
		"a UUID":  "0ccc7b54-4df3-4bca-a65a-3da1ecc777f0",
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
				t.Errorf("%s of a room whose ID is %s: %v allocations", call, name, n)
			}
		}
	}
}

// TestAMissAllocatesLittle: what a call to the source costs in allocations is of
// little weight beside the call, but it must not creep up.
func TestAMissAllocatesLittle(t *testing.T) {
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
	if n > 45 {
		t.Errorf("a miss makes %v allocations, source included; it made 35 once", n)
	}
}
