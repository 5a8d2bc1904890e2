package roomtoken_test

import (
	"context"
	"slices"
	"testing"
	"time"

	"github.com/roomtoken/roomtoken"
)

func TestPromise3NoWaitingWhileThereIsAValidToken(t *testing.T) {
	within(t, roomtoken.Config{Jitter: -1}, func(w *world) {
		first := w.token("r")
		w.add(401 * time.Second)
		if got := w.src.ops(); !slices.Equal(got, []string{"create", "refresh"}) {
			t.Fatalf("after the renewal is due: %v", got)
		}
		second := w.token("r")
		if second.Value.Equal(first.Value) {
			t.Fatal("the renewal was not published")
		}
		w.src.fail(errDown)
		w.add(569 * time.Second)
		tok, err := w.m.Token(context.Background(), "r")
		if err != nil || !tok.Value.Equal(second.Value) {
			t.Fatalf("while the renewal fails: %v %v", tok, err)
		}
		w.src.on(nil)
		w.add(30 * time.Second)
		if third := w.token("r"); third.Value.Equal(second.Value) {
			t.Fatal("the renewal did not recover")
		}
	})
}
