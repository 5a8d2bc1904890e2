package roomtoken_test

import (
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"testing"
	"testing/synctest"
	"time"

	"github.com/roomtoken/roomtoken"
)

// Promise 1: no token is returned with too little time left.

func TestPromise1Validity(t *testing.T) {
	const never = -1
	for name, c := range map[string]struct {
		lifetime, minValidity time.Duration
		bound                 time.Duration // the least time left of a token that is returned
	}{
		"MinValidity":                         {10 * time.Minute, 0, 30 * time.Second},
		"MinValidity of a long lifetime":      {24 * time.Hour, 0, 30 * time.Second},
		"a tenth equals MinValidity":          {300 * time.Second, 0, 30 * time.Second},
		"a tenth of 10 s":                     {10 * time.Second, 0, time.Second},
		"a tenth of 40 s":                     {40 * time.Second, 0, 4 * time.Second},
		"a tenth of a second":                 {time.Second, 0, 100 * time.Millisecond},
		"an explicit MinValidity":             {10 * time.Minute, 2 * time.Minute, 2 * time.Minute},
		"an explicit one of 30 s":             {40 * time.Second, 30 * time.Second, 20 * time.Second},
		"half, though MinValidity is an hour": {10 * time.Minute, time.Hour, 5 * time.Minute},
		"none: until the token expires":       {10 * time.Minute, never, 1},
	} {
		t.Run(name, func(t *testing.T) {
			within(t, roomtoken.Config{MinValidity: c.minValidity}, func(t *testing.T, w *world) {
				w.src.live(c.lifetime, 0)
				first := w.token("r")
				w.src.fail(errDown) // or it would be renewed
				w.add(c.lifetime - c.bound)
				for what, get := range w.getters("r") {
					if tok, err := get(); err != nil || !tok.Value.Equal(first.Value) {
						t.Errorf("%s with exactly %v left = %v, want the token", what, c.bound, err)
					}
				}
				w.add(1)
				for what, get := range w.getters("r") {
					if tok, err := get(); err == nil || !tok.IsZero() {
						t.Errorf("%s returned a token with less than %v left, want an error", what, c.bound)
					}
				}
				w.add(c.lifetime)
				for what, get := range w.getters("r") {
					if tok, err := get(); err == nil || !tok.IsZero() {
						t.Errorf("%s returned an expired token, want an error", what)
					}
				}
			})
		})
	}
}

// getters returns every way to get a room's token without waiting for the source.
func (w *world) getters(room string) map[string]func() (roomtoken.Token, error) {
	ended, cancel := context.WithCancel(context.Background())
	cancel()
	return map[string]func() (roomtoken.Token, error){
		"Token": func() (roomtoken.Token, error) { return w.m.Token(ended, room) },
		"TokenValidFor": func() (roomtoken.Token, error) {
			return w.m.TokenValidFor(ended, room, 1)
		},
		"Cached": func() (roomtoken.Token, error) {
			tok, ok := w.m.Cached(room)
			if !ok {
				return tok, errors.New("none")
			}
			return tok, nil
		},
		"Watch": func() (roomtoken.Token, error) {
			ctx, cancel := context.WithCancel(context.Background())
			defer cancel()
			var first answer
			done := make(chan struct{})
			go func() {
				defer close(done)
				for tok, err := range w.m.Watch(ctx, room) {
					first = answer{tok: tok, err: err}
					return
				}
			}()
			synctest.Wait()
			cancel()
			<-done
			return first.tok, first.err
		},
	}
}

// A grant that is unusable or has too little time left is a failed attempt: callers
// get ErrInvalidGrant, and the next attempt waits for the backoff.
func TestPromise1UnusableGrants(t *testing.T) {
	token := func(expires, issued time.Time) roomtoken.Grant {
		return roomtoken.Grant{
			Token:    roomtoken.Token{Value: roomtoken.NewSecret("t"), ExpiresAt: expires},
			IssuedAt: issued,
		}
	}
	for name, grant := range map[string]func(now time.Time) roomtoken.Grant{
		"zero": func(time.Time) roomtoken.Grant { return roomtoken.Grant{} },
		"no value": func(now time.Time) roomtoken.Grant {
			return roomtoken.Grant{Token: roomtoken.Token{ExpiresAt: now.Add(time.Hour)}}
		},
		"only a refresh token": func(now time.Time) roomtoken.Grant {
			return roomtoken.Grant{RefreshToken: roomtoken.Token{Value: roomtoken.NewSecret("r"), ExpiresAt: now.Add(time.Hour)}}
		},
		"no expiry":         func(time.Time) roomtoken.Grant { return token(time.Time{}, time.Time{}) },
		"expired long ago":  func(now time.Time) roomtoken.Grant { return token(now.Add(-time.Hour), time.Time{}) },
		"expired in year 1": func(time.Time) roomtoken.Grant { return token(time.Time{}.Add(1), time.Time{}) },
		"expired in year -9999": func(time.Time) roomtoken.Grant {
			return token(time.Date(-9999, 1, 1, 0, 0, 0, 0, time.UTC), time.Time{})
		},
		"the earliest time": func(time.Time) roomtoken.Grant { return token(time.Unix(math.MinInt64, 0), time.Time{}) },
		"a time that overflows": func(time.Time) roomtoken.Grant {
			return token(time.Unix(math.MaxInt64, math.MaxInt64), time.Time{})
		},
		"expires now":              func(now time.Time) roomtoken.Grant { return token(now, time.Time{}) },
		"expired a nanosecond ago": func(now time.Time) roomtoken.Grant { return token(now.Add(-1), time.Time{}) },
		"old, 29.999 s left of 600": func(now time.Time) roomtoken.Grant {
			return token(now.Add(30*time.Second-time.Millisecond), now.Add(-570*time.Second))
		},
		"old, 0.999 s left of 10": func(now time.Time) roomtoken.Grant {
			return token(now.Add(999*time.Millisecond), now.Add(-9001*time.Millisecond))
		},
		"issued after its expiry": func(now time.Time) roomtoken.Grant { return token(now.Add(time.Hour), now.Add(2*time.Hour)) },
		"issued at its expiry":    func(now time.Time) roomtoken.Grant { return token(now.Add(time.Hour), now.Add(time.Hour)) },
		"issued in year 9999": func(now time.Time) roomtoken.Grant {
			return token(now.Add(time.Hour), time.Date(9999, 1, 1, 0, 0, 0, 0, time.UTC))
		},
		"issued and expired in 1900": func(time.Time) roomtoken.Grant {
			return token(time.Date(1900, 1, 2, 0, 0, 0, 0, time.UTC), time.Date(1900, 1, 1, 0, 0, 0, 0, time.UTC))
		},
	} {
		t.Run(name, func(t *testing.T) {
			within(t, roomtoken.Config{}, func(t *testing.T, w *world) {
				w.src.on(func(*sourceCall) (roomtoken.Grant, error) { return grant(w.clk.Now()), nil })
				p := w.ask(context.Background(), "r")
				w.waits(p)
				w.calls("r", create) // and no other at once
				if _, ok := w.m.Cached("r"); ok {
					t.Fatal("the grant was published, want it refused")
				}
				s, _ := w.m.Room("r")
				if s.Failures != 1 || s.Generation != 0 || s.State != roomtoken.RoomFailing || !errors.Is(s.LastError, roomtoken.ErrInvalidGrant) {
					t.Fatalf("Room() = %+v, want one failure with ErrInvalidGrant", s)
				}
				w.add(30 * time.Second)
				w.refused(p, roomtoken.ErrInvalidGrant)
				if n := w.src.count(); n < 4 || n > 7 { // 0, .5, 1.5, 3.5, 7.5, 15.5 s, or up to half as much later
					t.Fatalf("%d calls in 30 s, want 4 to 7", n)
				}
				w.src.on(nil)
				w.add(30 * time.Second)
				w.token("r")
			})
		})
	}
}

// Grants that are just usable: how long Token returns them, and when they are
// renewed.
func TestPromise1Grants(t *testing.T) {
	const year = 365 * 24 * time.Hour
	const start = time.Minute // at the epoch itself some overflows do not show
	epoch := time.Unix(0, 0).Add(start)
	far := time.Date(9999, 12, 31, 23, 59, 59, 999999999, time.UTC)
	for name, c := range map[string]struct {
		expires, issued time.Time
		until           time.Duration // Token returns it up to and including this time
		renewed         time.Duration // when the source is called again; 0: not before until
	}{
		"600 s":                   {epoch.Add(600 * time.Second), time.Time{}, 570 * time.Second, 400 * time.Second},
		"10 s":                    {epoch.Add(10 * time.Second), time.Time{}, 9 * time.Second, 6667 * time.Millisecond},
		"issued at the call":      {epoch.Add(600 * time.Second), epoch, 570 * time.Second, 400 * time.Second},
		"issued 300 s ago of 600": {epoch.Add(300 * time.Second), epoch.Add(-300 * time.Second), 270 * time.Second, 100 * time.Second},
		"issued 570 s ago of 600": {epoch.Add(30 * time.Second), epoch.Add(-570 * time.Second), 0, 100 * time.Millisecond},
		"past its renewal: after half of the rest": {epoch.Add(120 * time.Second), epoch.Add(-480 * time.Second), 90 * time.Second, time.Minute},
		"issued in 100 s, for 600":                 {epoch.Add(700 * time.Second), epoch.Add(100 * time.Second), 570 * time.Second, 400 * time.Second},
		"issued 50 years ago":                      {epoch.Add(time.Hour), epoch.Add(-50 * year), time.Hour - 30*time.Second, 2380 * time.Second},
		"year 9999":                                {far, time.Time{}, 48 * time.Hour, 0},
		"the latest time":                          {time.Unix(1<<63-62135596801, 999999999), time.Time{}, 48 * time.Hour, 0},
		"year 9999, issued before now":             {far, epoch.Add(-year), 48 * time.Hour, 0},
	} {
		t.Run(name, func(t *testing.T) {
			within(t, roomtoken.Config{Jitter: -1, IdleAfter: -1}, func(t *testing.T, w *world) {
				w.src.on(func(*sourceCall) (roomtoken.Grant, error) {
					return roomtoken.Grant{
						Token:    roomtoken.Token{Value: roomtoken.NewSecret("t"), ExpiresAt: c.expires},
						IssuedAt: c.issued,
					}, nil
				})
				w.add(start)
				if tok := w.token("r"); !tok.ExpiresAt.Equal(c.expires) || tok.ExpiresAt.Location() != time.UTC {
					t.Errorf("ExpiresAt = %v, want %v in UTC", tok.ExpiresAt, c.expires)
				}
				w.src.fail(errDown)
				if s, _ := w.m.Room("r"); s.Generation != 1 || s.Failures != 0 {
					t.Errorf("Room() = %+v, want generation 1 and no failures", s)
				}
				w.add(c.until)
				if _, err := w.hit("r"); err != nil {
					t.Errorf("Token() after %v = %v, want the token", c.until, err)
				}
				switch calls := w.src.all(); {
				case c.renewed == 0 && len(calls) > 1:
					t.Errorf("%d calls, the second at %v, want 1", len(calls), calls[1].at)
				case c.renewed == 0:
					return
				}
				w.add(1)
				if _, err := w.hit("r"); err == nil {
					t.Errorf("Token() a nanosecond after %v returned the token, want an error", c.until)
				}
				w.add(max(0, c.renewed+time.Second-c.until))
				calls := w.src.all()
				if len(calls) < 2 {
					t.Fatal("the token was never renewed")
				}
				if at := calls[1].at - start; (at - c.renewed).Abs() > time.Millisecond {
					t.Errorf("renewed after %v, want %v", at, c.renewed)
				}
			})
		})
	}
}

// The lifetime counts from the start of the call, not from its end.
func TestPromise1SlowExchange(t *testing.T) {
	within(t, roomtoken.Config{}, func(t *testing.T, w *world) {
		w.src.on(func(c *sourceCall) (roomtoken.Grant, error) {
			g := w.src.mint(c) // expires 60 s after the call began
			w.clk.Sleep(8 * time.Second)
			return g, nil
		})
		w.src.live(60*time.Second, 0)
		p := w.ask(context.Background(), "r")
		w.add(8 * time.Second)
		w.served(p)
		w.src.fail(errDown)
		w.clk.stepWall(-time.Hour) // the wall clock alone must not decide
		w.add(46 * time.Second)    // a tenth is left
		if _, err := w.hit("r"); err != nil {
			t.Fatal(err)
		}
		w.add(1)
		if _, err := w.hit("r"); err == nil {
			t.Fatal("got a token with less than a tenth left, want an error")
		}
	})
}

// A grant that was issued before its call keeps its age when the wall clock is
// stepped back.
func TestPromise1OldGrantAndASteppedClock(t *testing.T) {
	within(t, roomtoken.Config{}, func(t *testing.T, w *world) {
		w.add(time.Hour)
		w.src.on(func(c *sourceCall) (roomtoken.Grant, error) {
			g := w.src.mint(c)
			g.IssuedAt = w.clk.Now().Add(-300 * time.Second)
			g.Token.ExpiresAt = w.clk.Now().Add(300 * time.Second)
			return g, nil
		})
		w.token("r")
		w.src.fail(errDown)
		w.clk.stepWall(-time.Hour)
		w.add(270 * time.Second)
		if _, err := w.hit("r"); err != nil {
			t.Fatal(err)
		}
		w.add(1)
		if _, err := w.hit("r"); err == nil {
			t.Fatal("got a token with less than 30 s left, want an error")
		}
	})
}

func TestPromise1TokenValidFor(t *testing.T) {
	const minute = time.Minute
	background := context.Background()

	run := func(name string, test func(t *testing.T, w *world)) {
		t.Run(name, func(t *testing.T) {
			within(t, roomtoken.Config{Jitter: -1, BackoffMin: time.Second}, test)
		})
	}

	run("a cached token that lives long enough", func(t *testing.T, w *world) {
		first := w.token("r")
		w.add(minute)
		if tok := w.served(w.askFor(background, "r", 9*minute)); !tok.Value.Equal(first.Value) {
			t.Fatal("got another token, want the cached one")
		}
		w.calls("r", create)
	})

	run("a cached token that does not is renewed early", func(t *testing.T, w *world) {
		first := w.token("r")
		w.add(minute + 1)
		w.src.holdCalls(false)
		p := w.askFor(background, "r", 9*minute)
		w.waits(p)
		w.calls("r", create, refresh)
		if tok := w.token("r"); !tok.Value.Equal(first.Value) {
			t.Fatal("Token returned another token, want the valid one")
		}
		w.src.releaseAll()
		if tok := w.served(p); tok.Value.Equal(first.Value) {
			t.Fatal("TokenValidFor returned the old token, want a new one")
		}
		w.calls("r", create, refresh)
	})

	run("a hundred callers cost one call", func(t *testing.T, w *world) {
		w.token("r")
		w.add(5 * minute)
		w.src.holdCalls(false)
		asked := make([]*pending, 100)
		for i := range asked {
			asked[i] = w.askFor(background, "r", 9*minute)
		}
		w.src.releaseAll()
		for _, p := range asked {
			w.served(p)
		}
		w.calls("r", create, refresh)
	})

	run("longer than the latest known lifetime: no call", func(t *testing.T, w *world) {
		w.token("r")
		w.refused(w.askFor(background, "r", 10*minute+1), roomtoken.ErrTooShort)
		w.refused(w.askFor(background, "r", math.MaxInt64), roomtoken.ErrTooShort)
		w.calls("r", create)
		w.src.live(20*minute, time.Hour)
		w.add(400 * time.Second)
		w.calls("r", create, refresh)
		w.served(w.askFor(background, "r", 15*minute)) // the latest counts
		w.src.live(5*minute, time.Hour)
		w.m.Invalidate("r", w.token("r")) // or a shorter one would not replace it
		w.token("r")
		w.calls("r", create, refresh, create)
		w.refused(w.askFor(background, "r", 6*minute), roomtoken.ErrTooShort)
		w.calls("r", create, refresh, create)
	})

	run("the latest lifetime is known after the token has expired", func(t *testing.T, w *world) {
		w.token("r")
		w.src.fail(errDown)
		w.add(11 * minute)
		n := w.src.count()
		w.refused(w.askFor(background, "r", 10*minute+1), roomtoken.ErrTooShort)
		if w.src.count() != n {
			t.Fatal("a call began, want none")
		}
	})

	run("a cold room: one call decides", func(t *testing.T, w *world) {
		w.refused(w.askFor(background, "r", 11*minute), roomtoken.ErrTooShort)
		w.calls("r", create)
		w.token("r") // others can use the token
		w.calls("r", create)
	})

	run("a cold room: a grant that lives long enough but is old", func(t *testing.T, w *world) {
		w.src.on(func(c *sourceCall) (roomtoken.Grant, error) {
			g := w.src.mint(c)
			g.Token.ExpiresAt = g.Token.ExpiresAt.Add(-2 * minute)
			g.IssuedAt = w.clk.Now().Add(-2 * minute)
			return g, nil
		})
		w.refused(w.askFor(background, "r", 9*minute), roomtoken.ErrTooShort)
		w.calls("r", create)
		// The next grant is no better, but that cannot be known.
		w.refused(w.askFor(background, "r", 9*minute), roomtoken.ErrTooShort)
		w.calls("r", create, refresh)
		w.served(w.askFor(background, "r", 8*minute))
		w.calls("r", create, refresh)
	})

	run("the token of an earlier call is used if it lives long enough", func(t *testing.T, w *world) {
		w.src.holdCalls(false)
		w.ask(background, "r")
		p := w.askFor(background, "r", 9*minute)
		w.waits(p)
		w.src.releaseAll()
		w.served(p)
		w.calls("r", create)
	})

	// A grant that does not live long enough proves nothing if its call began earlier:
	// it may have been minted before.
	for _, better := range []bool{true, false} {
		run(fmt.Sprintf("an earlier call brings too little, the next enough: %v", better), func(t *testing.T, w *world) {
			w.src.on(func(c *sourceCall) (roomtoken.Grant, error) {
				g := w.src.mint(c)
				if c.n == 1 || !better {
					g.Token.ExpiresAt = g.Token.ExpiresAt.Add(-2 * minute)
					g.IssuedAt = w.clk.Now().Add(-2 * minute)
				}
				return g, nil
			})
			w.src.holdCalls(false)
			w.ask(background, "r")
			p := w.askFor(background, "r", 9*minute)
			w.src.release("r")
			w.waits(p)
			w.calls("r", create, refresh)
			w.src.releaseAll()
			if better {
				w.served(p)
			} else {
				w.refused(p, roomtoken.ErrTooShort)
			}
			w.calls("r", create, refresh)
		})
	}

	run("an earlier call shows the lifetime: no further call", func(t *testing.T, w *world) {
		w.src.holdCalls(false)
		w.ask(background, "r")
		p := w.askFor(background, "r", 11*minute)
		w.src.releaseAll()
		w.refused(p, roomtoken.ErrTooShort)
		w.calls("r", create)
	})

	run("an early renewal that fails is retried, and others are not affected", func(t *testing.T, w *world) {
		w.token("r")
		w.add(minute + 1)
		w.src.fail(errDown)
		p := w.askFor(background, "r", 9*minute)
		w.waits(p)
		w.calls("r", create, refresh)
		w.token("r")
		w.src.on(nil)
		w.add(1500 * time.Millisecond)
		w.served(p)
		w.calls("r", create, refresh, refresh)
	})

	run("an early renewal is not retried when its caller has left", func(t *testing.T, w *world) {
		w.token("r")
		w.add(minute + 1)
		w.src.fail(errDown)
		ctx, cancel := context.WithCancel(background)
		p := w.askFor(ctx, "r", 9*minute)
		cancel()
		w.refused(p, context.Canceled, errDown)
		w.add(minute)
		w.calls("r", create, refresh)
		w.src.on(nil)
		w.add(280 * time.Second)
		w.calls("r", create, refresh, refresh) // when it is due
	})

	run("nor is it retried because of a watch", func(t *testing.T, w *world) {
		w.token("r")
		watching, stop := context.WithCancel(background)
		done := make(chan struct{})
		go func() {
			defer close(done)
			for range w.m.Watch(watching, "r") {
			}
		}()
		w.add(minute + 1)
		w.src.fail(errDown)
		ctx, cancel := context.WithCancel(background)
		p := w.askFor(ctx, "r", 9*minute)
		cancel()
		w.refused(p, context.Canceled, errDown)
		w.check()
		w.add(minute)
		w.calls("r", create, refresh)
		stop()
		<-done
	})

	run("an early renewal that fails permanently", func(t *testing.T, w *world) {
		w.src.live(10*minute, 0)
		w.token("r")
		w.add(minute + 1)
		w.src.fail(roomtoken.Permanent(errDown))
		w.refused(w.askFor(background, "r", 9*minute), errDown, roomtoken.ErrPermanent)
		w.token("r")
		w.calls("r", create, create)
		w.refused(w.askFor(background, "r", 9*minute), errDown, roomtoken.ErrPermanent)
		w.calls("r", create, create)
	})

	run("zero and negative durations behave like Token", func(t *testing.T, w *world) {
		for _, atLeast := range []time.Duration{0, -1, math.MinInt64} {
			if _, err := w.m.TokenValidFor(background, "r", atLeast); err != nil {
				t.Fatal(err)
			}
		}
		w.src.fail(errDown)
		w.add(570*time.Second + 1)
		ended, cancel := context.WithCancel(background)
		cancel()
		for _, atLeast := range []time.Duration{0, -1, math.MinInt64} {
			if _, err := w.m.TokenValidFor(ended, "r", atLeast); err == nil {
				t.Fatalf("TokenValidFor(%v) returned a token with too little left, want an error", atLeast)
			}
		}
	})
}

// TestPromise1Walk asks a source with random lifetimes for tokens at random times.
// No token may have less time left than its bound and what was asked for.
func TestPromise1Walk(t *testing.T) {
	for seed := range uint64(4) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			rnd := rand.New(rand.NewPCG(seed, 0))
			within(t, roomtoken.Config{MaxWait: 2 * time.Second}, func(t *testing.T, w *world) {
				type issue struct {
					expires  time.Duration
					lifetime time.Duration
				}
				issued := map[string]issue{} // by token; the test and the source never run at the same time
				w.src.on(func(c *sourceCall) (roomtoken.Grant, error) {
					if rnd.IntN(4) == 0 {
						return roomtoken.Grant{}, errDown
					}
					lifetime := time.Duration(rnd.Int64N(int64(15 * time.Minute)))
					age := time.Duration(rnd.Int64N(int64(lifetime)/2 + 1))
					g := w.src.mint(c)
					g.IssuedAt = w.clk.Now().Add(-age)
					g.Token.ExpiresAt = g.IssuedAt.Add(lifetime)
					issued[g.Token.Value.Reveal()] = issue{w.clk.elapsed() + lifetime - age, lifetime}
					return g, nil
				})
				answers := 0
				for range 400 {
					w.add(time.Duration(rnd.Int64N(int64(time.Minute))))
					atLeast := time.Duration(rnd.Int64N(int64(12*time.Minute))) - 2*time.Minute
					p := w.askFor(context.Background(), "r", max(atLeast, 0))
					if !p.returned() {
						w.add(2 * time.Second)
					}
					if !p.returned() {
						t.Fatal("call has not returned after MaxWait")
					}
					if p.err != nil {
						continue
					}
					answers++
					i := issued[p.tok.Value.Reveal()]
					bound := max(atLeast, min(30*time.Second, i.lifetime/10), 1)
					if left := i.expires - p.at; left < bound {
						t.Fatalf("at %v: got a token with %v left of %v, want at least %v", p.at, left, i.lifetime, bound)
					}
				}
				if answers < 50 {
					t.Fatalf("%d tokens returned, want at least 50", answers)
				}
			})
		})
	}
}

// Where no token of the source lives as long as a caller asks, if only because the call
// takes time, this costs no call per caller. Neither does it where a new token just
// suffices: then at most one call a second begins.
func TestPromise1TokenValidForNearTheLifetime(t *testing.T) {
	const lifetime, latency = 10 * time.Minute, 200 * time.Millisecond
	slow := func(w *world) {
		w.src.on(func(c *sourceCall) (roomtoken.Grant, error) {
			g := w.src.mint(c)
			w.clk.Sleep(latency)
			return g, nil
		})
	}
	t.Run("just below it", func(t *testing.T) {
		within(t, roomtoken.Config{}, func(t *testing.T, w *world) {
			slow(w)
			for i := range 100 {
				p := w.askFor(t.Context(), "r", lifetime-latency/2)
				if i == 0 {
					w.add(latency)
				}
				w.refused(p, roomtoken.ErrTooShort)
				w.add(100 * time.Millisecond)
			}
			w.calls("r", create)
		})
	})
	t.Run("just within reach", func(t *testing.T) {
		within(t, roomtoken.Config{}, func(t *testing.T, w *world) {
			slow(w)
			var all []*pending
			for range 100 {
				all = append(all, w.askFor(t.Context(), "r", lifetime-latency))
				w.add(100 * time.Millisecond)
			}
			w.add(2 * time.Second)
			for _, p := range all {
				w.served(p)
			}
			if n := w.src.count(); n > 13 {
				t.Errorf("%d calls in 12 s, want one a second at most", n)
			}
			calls := w.src.all()
			for i := 2; i < len(calls); i++ { // the first was not forced
				if gap := calls[i].at - calls[i-1].at; gap < time.Second {
					t.Errorf("call %d began %v after the one before, want a second between forced ones", i+1, gap)
				}
			}
		})
	})
}

// While it is valid and was not invalidated, a token is not replaced by one that ends
// before it; an invalidated one is.
func TestPromise1TheBetterTokenStays(t *testing.T) {
	within(t, roomtoken.Config{Jitter: -1}, func(t *testing.T, w *world) {
		first := w.token("r")
		w.src.live(199*time.Second, time.Hour)
		w.src.holdCalls(false)
		w.add(400 * time.Second)
		w.src.release("r")
		if tok, _ := w.m.Cached("r"); !tok.Value.Equal(first.Value) {
			t.Fatalf("a token with 199 s left replaced one with 200 s left")
		}
		w.src.releaseAll()
		w.m.Invalidate("r", first)
		w.rest()
		if tok := w.served(w.ask(t.Context(), "r")); tok.Value.Equal(first.Value) {
			t.Fatal("Token returned the invalidated token, want the shorter one")
		}
	})
	within(t, roomtoken.Config{Jitter: -1}, func(t *testing.T, w *world) {
		first := w.token("r")
		w.src.live(200*time.Second, time.Hour)
		w.add(400 * time.Second)
		if tok, _ := w.m.Cached("r"); tok.Value.Equal(first.Value) {
			t.Fatal("a token that ends with the present one did not replace it")
		}
	})
}
