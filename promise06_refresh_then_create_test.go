package roomtoken_test

import (
	"bytes"
	"context"
	"encoding/base64"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/roomtoken/roomtoken"
)

// Promise 6: refresh, then create.

// The refresh token decides which call renews a token, but not when.
func TestPromise6WhenDoesNotDependOnTheRefreshToken(t *testing.T) {
	for name, c := range map[string]struct {
		refreshLifetime time.Duration // 0: none
		want            roomtoken.CallKind
	}{
		"it lives longer":                       {time.Hour, refresh},
		"it lives as long":                      {600 * time.Second, refresh},
		"it lapses just after the renewal":      {400*time.Second + 1, refresh},
		"it lapses at the renewal":              {400 * time.Second, create},
		"it lapses early (600 s, 10 s)":         {10 * time.Second, create},
		"it has lapsed when it comes":           {-time.Second, create},
		"there is none":                         {0, create},
		"it lives as long as a Duration allows": {1<<63 - 1, refresh},
	} {
		t.Run(name, func(t *testing.T) {
			within(t, roomtoken.Config{Jitter: -1}, func(t *testing.T, w *world) {
				w.src.live(600*time.Second, c.refreshLifetime)
				w.token("r")
				w.add(400*time.Second - 1)
				w.calls("r", create)
				if s, _ := w.m.Room("r"); s.NextCall != c.want || !s.NextCallAt.Equal(time.Unix(400, 0)) {
					t.Errorf("next call = %v at %v, want %v at 400 s", s.NextCall, s.NextCallAt, c.want)
				}
				w.add(1)
				w.calls("r", create, c.want)
				call := w.src.all()[1]
				if call.at != 400*time.Second {
					t.Errorf("renewed at %v, want 400 s", call.at)
				}
				if c.want == refresh && call.refresh != "refresh-r-1" {
					t.Errorf("Refresh got %q, want refresh-r-1", call.refresh)
				}
				w.token("r")
			})
		})
	}
}

// The documented example: 600 s, and 10 s for the refresh token. Every renewal is a
// create, and callers do not notice.
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
				t.Fatalf("Refresh with a lapsed token at %v, want a create", c.at)
			}
		}
		if n := w.src.count(); n < 9 || n > 11 {
			t.Errorf("%d calls in an hour, want 9 to 11", n)
		}
		if n := w.eventCounts()[roomtoken.EventFellBack]; n != w.src.count()-1 {
			t.Errorf("%d fallbacks, want %d: all calls but the first", n, w.src.count()-1)
		}
	})
}

// A refresh token with an unknown expiry is used until it is refused.
func TestPromise6UnknownExpiry(t *testing.T) {
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
				w.add(time.Minute) // at the epoch itself an overflow does not show
				w.token("r")
				w.add(48 * time.Hour)
				calls := w.src.all()
				if len(calls) < 48*6 {
					t.Fatalf("%d calls in two days, want at least 288", len(calls))
				}
				for _, c := range calls[1:] {
					if c.kind != refresh || c.refresh != "refresh-r-1" {
						t.Fatalf("%v with %q at %v, want a refresh with refresh-r-1", c.kind, c.refresh, c.at)
					}
				}
			})
		})
	}
}

// JSON Web Tokens are kept packed. The source gets them as it gave them.
func TestPromise6RefreshTokensThatArePacked(t *testing.T) {
	within(t, roomtoken.Config{Jitter: -1}, func(t *testing.T, w *world) {
		encode := base64.RawURLEncoding.EncodeToString
		var mu sync.Mutex           // rooms are renewed at the same time
		last := map[string]string{} // the newest refresh token of each room
		w.src.on(func(c *sourceCall) (roomtoken.Grant, error) {
			mu.Lock()
			defer mu.Unlock()
			if c.kind == refresh && c.refresh != last[c.room] {
				t.Errorf("Refresh of %s got %q, want %q", c.room, c.refresh, last[c.room])
			}
			g := w.src.mint(c)
			claims := fmt.Sprintf(`{"exp":%d,"grants":["join"],"iss":"telnyx","jti":"%032x","typ":"refresh"}`, 1700000000+c.n, c.n)
			token := encode([]byte(`{"alg":"Ed25519","typ":"JWT"}`)) + "." + encode([]byte(claims)) + "." +
				encode(bytes.Repeat([]byte{byte(c.n)}, 64))
			last[c.room] = token
			g.RefreshToken = roomtoken.Token{Value: roomtoken.NewSecret(token), ExpiresAt: w.clk.Now().Add(time.Hour)}
			return g, nil
		})
		for _, room := range []string{"a", "b", "c"} {
			w.token(room)
		}
		w.add(1300 * time.Second)
		mu.Lock()
		defer mu.Unlock()
		for _, room := range []string{"a", "b", "c"} {
			w.calls(room, create, refresh, refresh, refresh)
			if kept := w.m.KeptRefreshToken(room); len(kept) == 0 || len(kept) > len(last[room])/2 {
				t.Errorf("room %s keeps %d of %d bytes, want at most half", room, len(kept), len(last[room]))
			}
		}
	})
}

// Which refresh token the next refresh gets.
func TestPromise6RefreshTokens(t *testing.T) {
	refreshToken := func(value string, expires time.Time) roomtoken.Token {
		return roomtoken.Token{Value: roomtoken.NewSecret(value), ExpiresAt: expires}
	}

	t.Run("a refresh returns a new one", func(t *testing.T) {
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
					t.Errorf("call %d got the refresh token %q, want %q", i+1, got, want)
				}
			}
		})
	})

	t.Run("a refresh returns none: the current one stays until it lapses", func(t *testing.T) {
		within(t, roomtoken.Config{Jitter: -1}, func(t *testing.T, w *world) {
			w.src.live(600*time.Second, 1000*time.Second)
			w.token("r")
			w.add(1200 * time.Second)
			w.calls("r", create, refresh, refresh, create)
			if a, b := w.src.all()[1].refresh, w.src.all()[2].refresh; a != b || a == "" {
				t.Errorf("refreshed with %q, then with %q, want the same token", a, b)
			}
		})
	})

	t.Run("a new one lapses earlier than the current one", func(t *testing.T) {
		within(t, roomtoken.Config{Jitter: -1}, func(t *testing.T, w *world) {
			w.src.on(func(c *sourceCall) (roomtoken.Grant, error) {
				g := w.src.mint(c)
				if c.kind == refresh {
					g.RefreshToken = refreshToken("short", w.clk.Now().Add(time.Second))
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
					return roomtoken.Grant{}, errDown // until it is create's turn
				}
				return w.src.mint(c), nil
			})
			w.add(410 * time.Second)
			w.calls("r", create, refresh, refresh, refresh, create)
			if s, _ := w.m.Room("r"); s.HasRefreshToken {
				t.Errorf("Room() = %+v, want no refresh token", s)
			}
			w.src.on(nil)
			w.add(401 * time.Second)
			w.calls("r", create, refresh, refresh, refresh, create, create)
		})
	})

	// The old refresh token may be void by now.
	t.Run("a refresh returns an unusable token and a new refresh token", func(t *testing.T) {
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
				t.Errorf("next refresh got %q, want rotated", got)
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
			w.clk.stepWall(-time.Hour) // the wall clock alone must not decide
			w.add(300 * time.Second)
			w.calls("r", create, create)
		})
	})
}

// When a refresh token is refused, a create follows at once, and that refresh token
// is never used again, even if the create fails.
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
					t.Errorf("the create came %v after the refresh was refused, want at once", calls[2].at-calls[1].at)
				}
				if s, _ := w.m.Room("r"); s.HasRefreshToken || s.Failures != 1 {
					t.Errorf("Room() = %+v, want one failure and no refresh token", s)
				}
				w.add(10 * time.Second)
				w.calls("r", create, refresh, create, create, create)
				s := w.m.Stats()
				if s.Fallbacks != 1 || s.Refreshes != 1 || s.RefreshFailures != 1 || s.Creates != 4 || s.CreateFailures != 2 {
					t.Errorf("Stats() = %+v, want 1 fallback, 1 refresh that failed, and 4 creates of which 2 failed", s)
				}
				// The create brought a new one.
				w.src.on(nil)
				w.add(400 * time.Second)
				if calls := w.src.all(); calls[len(calls)-1].kind != refresh || calls[len(calls)-1].refresh == "refresh-r-1" {
					t.Errorf("then %v with %q, want a refresh with the new token", calls[len(calls)-1].kind, calls[len(calls)-1].refresh)
				}
			})
		})
	}
}

// While many callers wait, one create follows the refusal, and they keep waiting.
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
			w.waits(p) // none of them gets the refusal
		}
		w.src.release("r")
		for _, p := range asked {
			w.served(p)
			if p.at != 570*time.Second+1 {
				t.Fatalf("caller was served at %v, want 570.000000001 s", p.at)
			}
		}
		w.calls("r", create, refresh, create)
	})
}

// The same when a caller makes the renewal early.
func TestPromise6RefusedInAnEarlyRenewal(t *testing.T) {
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

// A wait that comes with the refusal is kept.
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

// From the third consecutive transient failure on, create and refresh alternate,
// one per step.
func TestPromise6Alternation(t *testing.T) {
	within(t, roomtoken.Config{Jitter: -1, IdleAfter: -1}, func(t *testing.T, w *world) {
		w.token("r")
		w.src.fail(errDown)
		w.add(500 * time.Second)
		want := []roomtoken.CallKind{create, refresh, refresh, refresh, create, refresh, create, refresh, create}
		calls := w.src.all()
		if len(calls) < len(want) {
			t.Fatalf("%d calls, want at least %d", len(calls), len(want))
		}
		for i, op := range want {
			if calls[i].kind != op {
				t.Fatalf("calls = %v, want %v ...", w.src.kinds(), want)
			}
		}
		for i := 2; i < len(calls); i++ {
			if gap := calls[i].at - calls[i-1].at; gap < 500*time.Millisecond {
				t.Errorf("call %d came %v after the previous one, want at least 500 ms", i+1, gap)
			}
		}
		w.src.on(nil)
		w.add(30 * time.Second)
		w.token("r")
		// After a token, failures start with refresh again.
		n := w.src.count()
		w.src.fail(errDown)
		w.add(402 * time.Second)
		for i, op := range w.src.kinds()[n:] {
			if i < 3 && op != refresh {
				t.Fatalf("calls after a token = %v, want three refreshes first", w.src.kinds()[n:])
			}
		}
	})
}

// Refresh fails and create works, and the other way round.
func TestPromise6EitherCallHelps(t *testing.T) {
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
					t.Fatalf("Token() = %v after the calls %v, want a new token", err, w.src.kinds())
				}
				if n := w.src.count(); n > 6 {
					t.Errorf("calls = %v, want at most 6", w.src.kinds())
				}
			})
		})
	}
}

// Rate limits do not count towards the alternation.
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
		n := w.src.count()
		want := []roomtoken.CallKind{create, refresh, refresh, refresh, refresh, refresh, refresh, create}
		if n < len(want) {
			t.Fatalf("%d calls, want at least %d", n, len(want))
		}
		for i, op := range want {
			if got := w.src.kinds(); got[i] != op {
				t.Fatalf("calls = %v, want %v ...", got, want)
			}
		}
	})
}

// Refresh tokens of many lifetimes, with failures in between: none is used after it
// has lapsed or was refused.
func TestPromise6NoLapsedRefreshTokenIsUsed(t *testing.T) {
	within(t, roomtoken.Config{IdleAfter: -1, BackoffMax: 5 * time.Second}, func(t *testing.T, w *world) {
		ends := map[string]time.Duration{}
		refused := map[string]bool{}
		refreshes := 0
		w.src.on(func(c *sourceCall) (roomtoken.Grant, error) {
			if c.kind == refresh {
				refreshes++
				if end, ok := ends[c.refresh]; !ok || c.at >= end || refused[c.refresh] {
					t.Errorf("refresh token %q was used at %v, want none that lapsed at %v or was refused (%v)", c.refresh, c.at, end, refused[c.refresh])
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
			t.Errorf("%d refreshes and %d refusals, want at least 50 and 5 to prove anything", refreshes, len(refused))
		}
	})
}

// A session that ends: each refresh brings a token that ends with the session at the
// latest. A create begins a new one in time, and nobody waits.
func TestPromise6ShrinkingLifetimes(t *testing.T) {
	const lifetime, session, latency = 10 * time.Minute, time.Hour, time.Second
	for _, refreshLifetime := range []time.Duration{session, 24 * time.Hour} {
		t.Run(fmt.Sprint(refreshLifetime), func(t *testing.T) {
			within(t, roomtoken.Config{}, func(t *testing.T, w *world) {
				w.src.live(lifetime, refreshLifetime)
				var ends time.Time
				w.src.on(func(c *sourceCall) (roomtoken.Grant, error) {
					g := w.src.mint(c)
					if c.kind == create {
						ends = w.clk.Now().Add(session)
					}
					if g.Token.ExpiresAt.After(ends) {
						g.Token.ExpiresAt = ends
					}
					w.clk.Sleep(latency)
					return g, nil
				})
				w.ask(t.Context(), "r")
				w.add(latency)
				for w.clk.elapsed() < 5*session {
					w.add(5 * time.Second)
					if _, err := w.hit("r"); err != nil {
						t.Fatalf("Token() after %v = %v, want no wait", w.clk.elapsed(), err)
					}
				}
				if n := w.src.count(); n > 5*14 {
					t.Errorf("%d calls in 5 sessions, want 70 at most", n)
				}
				w.src.on(nil)
				w.add(latency) // a call in flight ends
			})
		})
	}
}
