package roomtoken_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/roomtoken/roomtoken"
)

// F3, F7: while the credential of a process is refused, it hands out what the store has, and
// a token that another process has got since lets a caller wait for the probe.
func TestPromise13ARefusedCredential(t *testing.T) {
	withFleet(t, 2, roomtoken.Config{IdleAfter: -1}, func(t *testing.T, f *fleet) {
		f.rest()
		p := f.procs[1]
		f.procs[0].token("a")
		f.rest()
		f.src.fail(roomtoken.ErrUnauthorized)
		for _, room := range []string{"x", "y"} {
			if _, err := p.m.Token(context.Background(), room); !errors.Is(err, roomtoken.ErrUnauthorized) {
				t.Fatal(err)
			}
		}
		if s := p.m.Stats(); !s.Probing {
			t.Fatal("the credential does not count as refused")
		}
		p.token("a")
		began := time.Now()
		if _, err := p.m.Token(context.Background(), "b"); !errors.Is(err, roomtoken.ErrUnauthorized) {
			t.Errorf("Token = %v, want that the credential is refused", err)
		}
		if took := time.Since(began); took > 50*time.Millisecond {
			t.Errorf("the error came after %v, want after a look into the store", took)
		}
		time.Sleep(2 * time.Minute)
		f.src.on(nil)
		f.procs[0].token("c")
		f.rest()
		p.token("c")
		p.token("d")
		if s := p.m.Stats(); s.Probing {
			t.Error("it still probes")
		}
	})
}
