package roomtoken_test

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/roomtoken/roomtoken"
)

// A bad credential is probed though every room has failed and callers are answered at
// once, and so stand in no line.
func TestPromise5BadCredentialIsProbedWhereAllRoomsHaveFailed(t *testing.T) {
	for name, c := range map[string]struct {
		rooms int
		err   error
	}{
		"refused": {2, roomtoken.ErrUnauthorized},
		"suspect": {8, roomtoken.ErrPermanent},
	} {
		t.Run(name, func(t *testing.T) {
			inTown(t, roomtoken.Config{}, func(tn *town) {
				tn.on(func(context.Context, string) error { return c.err })
				for i := range c.rooms {
					if _, err := tn.m.Token(context.Background(), fmt.Sprint("r", i)); !errors.Is(err, c.err) {
						tn.Fatal(err)
					}
				}
				tn.on(nil)
				for range 10 {
					time.Sleep(time.Second)
					for i := range c.rooms {
						if _, err := tn.m.Token(context.Background(), fmt.Sprint("r", i)); err == nil {
							return
						}
					}
				}
				tn.Error("ten seconds after the credential was mended no room has a token")
			})
		})
	}
}

// A room that was answered for the failure of others is the next probe, at the end of the
// step.
func TestPromise5AnsweredRoomIsTheNextProbe(t *testing.T) {
	inTown(t, roomtoken.Config{}, func(tn *town) {
		tn.on(func(context.Context, string) error { return roomtoken.ErrUnauthorized })
		for i := range 2 {
			_, _ = tn.m.Token(context.Background(), fmt.Sprint("r", i))
		}
		var innocent atomic.Int64 // its calls
		tn.on(func(_ context.Context, room string) error {
			if room == "innocent" {
				innocent.Add(1)
			}
			return nil
		})
		began := time.Now()
		for {
			time.Sleep(100 * time.Millisecond)
			if _, err := tn.m.Token(context.Background(), "innocent"); err == nil {
				break
			}
			if time.Since(began) > time.Minute {
				tn.Fatal("no probe in a minute")
			}
		}
		if took := time.Since(began); took > 1700*time.Millisecond || innocent.Load() != 1 {
			tn.Errorf("the room has its token after %v and %d calls, want one call at the end of the step of 1 to 1.5 s", took, innocent.Load())
		}
	})
}
