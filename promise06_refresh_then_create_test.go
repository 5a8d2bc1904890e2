package roomtoken_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/roomtoken/roomtoken"
)

// Promise 6: refresh, then create.

// TestPromise6WhenDoesNotDependOnTheRefreshToken, only which call does.
func TestPromise6WhenDoesNotDependOnTheRefreshToken(t *testing.T) {
	for name, c := range map[string]struct {
		refreshLifetime time.Duration // 0: none
		want            roomtoken.CallKind
	}{
		"it lives longer":                 {time.Hour, refresh},
		"it lives as long":                {600 * time.Second, refresh},
		"until just after the renewal":    {400*time.Second + 1, refresh},
		"until the very renewal":          {400 * time.Second, create},
		"it lapses early (600 s, 10 s)":   {10 * time.Second, create},
		"it was born dead":                {-time.Second, create},
		"there is none":                   {0, create},
		"for as long as a Duration lasts": {1<<63 - 1, refresh},
	} {
		t.Run(name, func(t *testing.T) {
			within(t, roomtoken.Config{Jitter: -1}, func(t *testing.T, w *world) {
				w.src.live(600*time.Second, c.refreshLifetime)
				w.token("r")
				w.add(400*time.Second - 1)
				w.calls("r", create)
				if s, _ := w.m.Room("r"); s.NextCall != c.want || !s.NextCallAt.Equal(time.Unix(400, 0)) {
					t.Errorf("the next call is a %v at %v, want a %v at 400 s", s.NextCall, s.NextCallAt, c.want)
				}
				w.add(1)
				w.calls("r", create, c.want)
				call := w.src.all()[1]
				if call.at != 400*time.Second {
					t.Errorf("the renewal was at %v, want 400 s", call.at)
				}
				if c.want == refresh && call.refresh != "refresh-r-1" {
					t.Errorf("it was called with %q", call.refresh)
				}
				w.token("r")
			})
		})
	}
}

// TestPromise6DocumentedExample: 600 s, and 10 s for the refresh token. Every
// renewal is a create, and nobody notices.
func TestPromise6DocumentedExample(t *testing.T) {
	within(t, roomtoken.Config{}, func(t *testing.T, w *world) {
		w.src.live(600*time.Second, 10*time.Second)
		w.token("r")
		for range 120 {
			w.add(30 * time.Second)
			if _, err := w.hit("r"); err != nil {
				t.Fatal(err)
			}
		}
		for _, c := range w.src.all() {
			if c.kind != create {
				t.Fatalf("a refresh with a token that had lapsed, at %v", c.at)
			}
		}
		if n := w.src.count(); n < 9 || n > 11 {
			t.Errorf("%d calls in an hour", n)
		}
		if n := w.eventCounts()[roomtoken.EventFellBack]; n != w.src.count()-1 {
			t.Errorf("%d times fell back, want each time but the first", n)
		}
	})
}

// TestPromise6UnknownEnd: a refresh token whose end is not known is good until
// it is refused.
func TestPromise6UnknownEnd(t *testing.T) {
	for name, expires := range map[string]time.Time{
		"unknown":   {},
		"year 9999": time.Date(9999, 12, 31, 0, 0, 0, 0, time.UTC),
	} {
		t.Run(name, func(t *testing.T) {
			within(t, roomtoken.Config{IdleAfter: -1}, func(t *testing.T, w *world) {
				w.src.on(func(c *sourceCall) (roomtoken.Grant, error) {
					g := w.src.mint(c)
					if c.kind == create {
						g.RefreshToken.ExpiresAt = expires
					}
					return g, nil
				})
				w.add(time.Minute) // at the very epoch an overflow would not show
				w.token("r")
				w.add(48 * time.Hour)
				calls := w.src.all()
				if len(calls) < 48*6 {
					t.Fatalf("%d calls in two days", len(calls))
				}
				for _, c := range calls[1:] {
					if c.kind != refresh || c.refresh != "refresh-r-1" {
						t.Fatalf("a %s with %q at %v", c.kind, c.refresh, c.at)
					}
				}
			})
		})
	}
}

// TestPromise6RefreshTokens: which of them the next refresh gets.
func TestPromise6RefreshTokens(t *testing.T) {
	refreshToken := func(value string, expires time.Time) roomtoken.Token {
		return roomtoken.Token{Value: roomtoken.NewSecret(value), ExpiresAt: expires}
	}

	t.Run("a refresh may answer with a new one", func(t *testing.T) {
		within(t, roomtoken.Config{Jitter: -1}, func(t *testing.T, w *world) {
			w.src.on(func(c *sourceCall) (roomtoken.Grant, error) {
				g := w.src.mint(c)
				if c.n < 4 {
					g.RefreshToken = refreshToken(fmt.Sprint("R", c.n), w.clk.Now().Add(500*time.Second))
				}
				return g, nil
			})
			w.token("r")
			w.add(1600 * time.Second)
			w.calls("r", create, refresh, refresh, refresh, create)
			for i, want := range []string{"", "R1", "R2", "R3", ""} { // R3 has lapsed by then
				if got := w.src.all()[i].refresh; got != want {
					t.Errorf("call %d got %q, want %q", i+1, got, want)
				}
			}
		})
	})

	t.Run("or without: the one before stays, to its own end", func(t *testing.T) {
		within(t, roomtoken.Config{Jitter: -1}, func(t *testing.T, w *world) {
			w.src.live(600*time.Second, 1000*time.Second)
			w.token("r")
			w.add(1200 * time.Second)
			w.calls("r", create, refresh, refresh, create)
			if a, b := w.src.all()[1].refresh, w.src.all()[2].refresh; a != b || a == "" {
				t.Errorf("refreshed with %q, then with %q", a, b)
			}
		})
	})

	t.Run("a new one that lives shorter than the one before", func(t *testing.T) {
		within(t, roomtoken.Config{Jitter: -1}, func(t *testing.T, w *world) {
			w.src.on(func(c *sourceCall) (roomtoken.Grant, error) {
				g := w.src.mint(c)
				if c.kind == refresh {
					g.RefreshToken = refreshToken("brief", w.clk.Now().Add(time.Second))
				}
				return g, nil
			})
			w.token("r")
			w.add(800 * time.Second)
			w.calls("r", create, refresh, create)
		})
	})

	t.Run("a create without one leaves none", func(t *testing.T) {
		within(t, roomtoken.Config{Jitter: -1}, func(t *testing.T, w *world) {
			w.token("r")
			w.src.live(600*time.Second, 0)
			w.src.on(func(c *sourceCall) (roomtoken.Grant, error) {
				if c.kind == refresh {
					return roomtoken.Grant{}, errDown // until create has its turn
				}
				return w.src.mint(c), nil
			})
			w.add(410 * time.Second)
			w.calls("r", create, refresh, refresh, refresh, create)
			if s, _ := w.m.Room("r"); s.HasRefreshToken {
				t.Errorf("the room: %+v", s)
			}
			w.src.on(nil)
			w.add(401 * time.Second)
			w.calls("r", create, refresh, refresh, refresh, create, create)
		})
	})

	// The one before may be void by now.
	t.Run("a refresh answers with a useless token and a new refresh token", func(t *testing.T) {
		within(t, roomtoken.Config{Jitter: -1}, func(t *testing.T, w *world) {
			w.src.on(func(c *sourceCall) (roomtoken.Grant, error) {
				g := w.src.mint(c)
				if c.n == 2 {
					g.Token.ExpiresAt = w.clk.Now()
					g.RefreshToken = refreshToken("rotated", w.clk.Now().Add(time.Hour))
				}
				return g, nil
			})
			w.token("r")
			w.add(401 * time.Second)
			w.calls("r", create, refresh, refresh)
			if got := w.src.all()[2].refresh; got != "rotated" {
				t.Errorf("the next refresh got %q", got)
			}
		})
	})

	t.Run("IssuedAt: the refresh token is as old as its token", func(t *testing.T) {
		within(t, roomtoken.Config{Jitter: -1}, func(t *testing.T, w *world) {
			w.src.on(func(c *sourceCall) (roomtoken.Grant, error) {
				now := w.clk.Now()
				return roomtoken.Grant{
					Token:        roomtoken.Token{Value: roomtoken.NewSecret("t"), ExpiresAt: now.Add(500 * time.Second)},
					RefreshToken: refreshToken("R", now.Add(250*time.Second)), // before the renewal, in 300 s
					IssuedAt:     now.Add(-100 * time.Second),
				}, nil
			})
			w.token("r")
			w.clk.stepWall(-time.Hour) // it must not be the wall clock alone that knows
			w.add(300 * time.Second)
			w.calls("r", create, create)
		})
	})
}

// TestPromise6RefusedThenCreate: at once, and that refresh token is never used
// again, not even where the create fails.
func TestPromise6RefusedThenCreate(t *testing.T) {
	for name, refusal := range map[string]error{
		"rejected":  fmt.Errorf("401: %w", roomtoken.ErrRefreshRejected),
		"permanent": roomtoken.Permanent(errDown),
	} {
		t.Run(name, func(t *testing.T) {
			within(t, roomtoken.Config{Jitter: -1}, func(t *testing.T, w *world) {
				w.token("r")
				w.src.on(func(c *sourceCall) (roomtoken.Grant, error) {
					switch {
					case c.kind == refresh:
						return roomtoken.Grant{}, refusal
					case c.n <= 4:
						return roomtoken.Grant{}, errDown
					}
					return w.src.mint(c), nil
				})
				w.add(400 * time.Second)
				w.calls("r", create, refresh, create)
				if calls := w.src.all(); calls[2].at != calls[1].at {
					t.Errorf("the create came %v after the refresh was refused", calls[2].at-calls[1].at)
				}
				if s, _ := w.m.Room("r"); s.HasRefreshToken || s.Failures != 1 {
					t.Errorf("the room: %+v", s)
				}
				w.add(10 * time.Second)
				w.calls("r", create, refresh, create, create, create)
				s := w.m.Stats()
				if s.Fallbacks != 1 || s.Refreshes != 1 || s.RefreshFailures != 1 || s.Creates != 4 || s.CreateFailures != 2 {
					t.Errorf("%+v", s)
				}
				// The create brought a new one.
				w.src.on(nil)
				w.add(400 * time.Second)
				if calls := w.src.all(); calls[len(calls)-1].kind != refresh || calls[len(calls)-1].refresh == "refresh-r-1" {
					t.Errorf("then: a %s with %q", calls[len(calls)-1].kind, calls[len(calls)-1].refresh)
				}
			})
		})
	}
}

// TestPromise6RefusedWhileManyWait: the create happens within the same wait, once.
func TestPromise6RefusedWhileManyWait(t *testing.T) {
	within(t, roomtoken.Config{Jitter: -1, MaxConcurrentCalls: 1, CallTimeout: time.Hour}, func(t *testing.T, w *world) {
		w.token("r")
		w.src.holdCalls(false)
		w.src.on(func(c *sourceCall) (roomtoken.Grant, error) {
			if c.kind == refresh {
				return roomtoken.Grant{}, roomtoken.ErrRefreshRejected
			}
			return w.src.mint(c), nil
		})
		w.add(570*time.Second + 1) // the refresh is in flight, and the token is gone
		asked := make([]*pending, 100)
		for i := range asked {
			asked[i] = w.ask(context.Background(), "r")
		}
		w.calls("r", create, refresh)
		w.src.release("r")
		w.calls("r", create, refresh, create)
		for _, p := range asked {
			w.waits(p) // not one of them gets the refusal
		}
		w.src.release("r")
		for _, p := range asked {
			w.served(p)
			if p.at != 570*time.Second+1 {
				t.Fatalf("it was served at %v", p.at)
			}
		}
		w.calls("r", create, refresh, create)
	})
}

// TestPromise6RefusedInAForcedRenewal: likewise.
func TestPromise6RefusedInAForcedRenewal(t *testing.T) {
	within(t, roomtoken.Config{Jitter: -1}, func(t *testing.T, w *world) {
		w.token("r")
		w.add(time.Minute)
		w.src.on(func(c *sourceCall) (roomtoken.Grant, error) {
			if c.kind == refresh {
				return roomtoken.Grant{}, roomtoken.ErrRefreshRejected
			}
			return w.src.mint(c), nil
		})
		w.served(w.askFor(context.Background(), "r", 595*time.Second))
		w.calls("r", create, refresh, create)
	})
}

// TestPromise6RefusedWithAWait: a wait that comes with the refusal is kept.
func TestPromise6RefusedWithAWait(t *testing.T) {
	within(t, roomtoken.Config{Jitter: -1}, func(t *testing.T, w *world) {
		w.token("r")
		w.src.on(func(c *sourceCall) (roomtoken.Grant, error) {
			if c.kind == refresh {
				return roomtoken.Grant{}, roomtoken.RetryAfter(roomtoken.ErrRefreshRejected, 50*time.Second)
			}
			return w.src.mint(c), nil
		})
		w.add(450*time.Second - 1)
		w.calls("r", create, refresh)
		w.add(1)
		w.calls("r", create, refresh, create)
	})
}

// TestPromise6Alternation: from the third passing failure in a row on, create and
// refresh alternate, one per step.
func TestPromise6Alternation(t *testing.T) {
	within(t, roomtoken.Config{Jitter: -1, IdleAfter: -1}, func(t *testing.T, w *world) {
		w.token("r")
		w.src.fail(errDown)
		w.add(500 * time.Second)
		want := []roomtoken.CallKind{create, refresh, refresh, refresh, create, refresh, create, refresh, create}
		calls := w.src.all()
		if len(calls) < len(want) {
			t.Fatalf("%d calls", len(calls))
		}
		for i, op := range want {
			if calls[i].kind != op {
				t.Fatalf("calls: %v, want %v ...", w.src.kinds(), want)
			}
		}
		for i := 2; i < len(calls); i++ {
			if gap := calls[i].at - calls[i-1].at; gap < 500*time.Millisecond {
				t.Errorf("call %d came %v after the one before: not one per step", i+1, gap)
			}
		}
		w.src.on(nil)
		w.add(30 * time.Second)
		w.token("r")
		// A new row begins with refresh again.
		n := w.src.count()
		w.src.fail(errDown)
		w.add(402 * time.Second)
		for i, op := range w.src.kinds()[n:] {
			if i < 3 && op != refresh {
				t.Fatalf("after a token: %v", w.src.kinds()[n:])
			}
		}
	})
}

// TestPromise6EitherOfTheTwoHelps: refresh fails and create works, and the
// reverse.
func TestPromise6EitherOfTheTwoHelps(t *testing.T) {
	for _, works := range []roomtoken.CallKind{create, refresh} {
		t.Run(works.String(), func(t *testing.T) {
			within(t, roomtoken.Config{Jitter: -1, CallTimeout: time.Second}, func(t *testing.T, w *world) {
				first := w.token("r")
				broken := true
				w.src.on(func(c *sourceCall) (roomtoken.Grant, error) {
					if broken && (c.kind != works || works == refresh && c.n < 6) {
						return roomtoken.Grant{}, errDown
					}
					return w.src.mint(c), nil
				})
				w.add(430 * time.Second)
				if tok, err := w.hit("r"); err != nil || tok.Value.Equal(first.Value) {
					t.Fatalf("there is no new token: %v; calls %v", err, w.src.kinds())
				}
				if n := w.src.count(); n > 6 {
					t.Errorf("calls: %v", w.src.kinds())
				}
			})
		})
	}
}

// TestPromise6AHoldIsNoFailure: rate limits do not bring the alternation nearer.
func TestPromise6AHoldIsNoFailure(t *testing.T) {
	within(t, roomtoken.Config{Jitter: -1}, func(t *testing.T, w *world) {
		w.token("r")
		w.src.on(func(c *sourceCall) (roomtoken.Grant, error) {
			if c.n%2 == 0 && c.n <= 10 {
				return roomtoken.Grant{}, roomtoken.RetryAfter(roomtoken.ErrRateLimited, time.Second)
			}
			return roomtoken.Grant{}, errDown
		})
		w.add(450 * time.Second)
		// Limited, failed, limited, failed, limited, failed: that is three failures.
		w.src.mu.Lock()
		n := len(w.src.calls)
		w.src.mu.Unlock()
		want := []roomtoken.CallKind{create, refresh, refresh, refresh, refresh, refresh, refresh, create}
		if n < len(want) {
			t.Fatalf("%d calls", n)
		}
		for i, op := range want {
			if got := w.src.kinds(); got[i] != op {
				t.Fatalf("calls: %v, want %v ...", got, want)
			}
		}
	})
}

// TestPromise6NeverAfterItLapsed walks with refresh tokens of all lifetimes,
// through failures: none is used at or after its end, or after it was refused.
func TestPromise6NeverAfterItLapsed(t *testing.T) {
	within(t, roomtoken.Config{IdleAfter: -1, BackoffMax: 5 * time.Second}, func(t *testing.T, w *world) {
		ends := map[string]time.Duration{}
		refused := map[string]bool{}
		refreshes := 0
		w.src.on(func(c *sourceCall) (roomtoken.Grant, error) {
			if c.kind == refresh {
				refreshes++
				if end, ok := ends[c.refresh]; !ok || c.at >= end || refused[c.refresh] {
					t.Errorf("refresh token %q was used at %v, its end is %v, refused: %v", c.refresh, c.at, end, refused[c.refresh])
				}
			}
			switch c.n % 5 {
			case 2, 3:
				return roomtoken.Grant{}, errDown
			case 4:
				if c.kind == refresh && c.n%3 == 0 {
					refused[c.refresh] = true
					return roomtoken.Grant{}, roomtoken.ErrRefreshRejected
				}
			}
			g := w.src.mint(c)
			if c.kind == create || c.n%2 == 0 {
				life := time.Duration(c.n*7%50) * time.Second
				value := fmt.Sprint("R", c.n)
				ends[value] = c.at + life
				g.RefreshToken = roomtoken.Token{Value: roomtoken.NewSecret(value), ExpiresAt: w.clk.Now().Add(life)}
			}
			return g, nil
		})
		w.src.live(30*time.Second, time.Hour)
		w.ask(context.Background(), "r")
		w.add(2 * time.Hour)
		if refreshes < 50 || len(refused) < 5 {
			t.Errorf("%d refreshes and %d refusals prove little", refreshes, len(refused))
		}
	})
}
