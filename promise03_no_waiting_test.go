package roomtoken_test

import (
	"context"
	"slices"
	"testing"
	"time"

	"github.com/roomtoken/roomtoken"
)

// Promise 3: nobody waits while there is a valid token.

func TestPromise3NoWaitingWhileThereIsAValidToken(t *testing.T) {
	within(t, roomtoken.Config{Jitter: -1}, func(t *testing.T, w *world) {
		first := w.token("r")
		w.add(401 * time.Second)
		if got := w.src.kinds(); !slices.Equal(got, []roomtoken.CallKind{create, refresh}) {
			t.Fatalf("calls after the renewal is due = %v, want [create refresh]", got)
		}
		second := w.token("r")
		if second.Value.Equal(first.Value) {
			t.Fatal("Token returned the first token, want the renewed one")
		}
		w.src.fail(errDown)
		w.add(569 * time.Second)
		tok, err := w.m.Token(context.Background(), "r")
		if err != nil || !tok.Value.Equal(second.Value) {
			t.Fatalf("Token() while the renewal fails = (%v, %v), want the valid token", tok, err)
		}
		w.src.on(nil)
		w.add(30 * time.Second)
		if third := w.token("r"); third.Value.Equal(second.Value) {
			t.Fatal("Token returned the second token, want the renewed one")
		}
	})
}

// Whatever happens to the renewal, callers get the token at once until it is
// unusable, and not afterwards.
func TestPromise3WhateverBecomesOfTheRenewal(t *testing.T) {
	held := func(deaf bool) func(w *world) { return func(w *world) { w.src.holdCalls(deaf) } }
	fails := func(err error) func(w *world) { return func(w *world) { w.src.fail(err) } }
	for name, c := range map[string]struct {
		lifetime, refreshLifetime time.Duration
		fault                     func(w *world)
	}{
		"it is slow":                           {10 * time.Minute, time.Hour, held(false)},
		"it ignores its ctx":                   {10 * time.Minute, time.Hour, held(true)},
		"it fails":                             {10 * time.Minute, time.Hour, fails(errDown)},
		"it fails permanently":                 {10 * time.Minute, time.Hour, fails(roomtoken.Permanent(errDown))},
		"the refresh token is refused":         {10 * time.Minute, time.Hour, fails(roomtoken.ErrRefreshRejected)},
		"the source is rate limited for a day": {10 * time.Minute, time.Hour, fails(roomtoken.RetryAfter(roomtoken.ErrRateLimited, 24*time.Hour))},
		"the source asks for an hour":          {10 * time.Minute, time.Hour, fails(roomtoken.RetryAfter(errDown, time.Hour))},
		"it returns nothing":                   {10 * time.Minute, time.Hour, func(w *world) { w.src.on(func(*sourceCall) (roomtoken.Grant, error) { return roomtoken.Grant{}, nil }) }},
		"it returns an expired token":          {10 * time.Minute, time.Hour, func(w *world) { w.src.live(-time.Second, time.Hour) }},
		"it panics":                            {10 * time.Minute, time.Hour, func(w *world) { w.src.on(func(*sourceCall) (roomtoken.Grant, error) { panic("boo") }) }},
		"the refresh token has lapsed":         {10 * time.Minute, 10 * time.Second, fails(errDown)},
		"10 s, and it is slow":                 {10 * time.Second, time.Hour, held(false)},
		"10 s, and it fails":                   {10 * time.Second, time.Hour, fails(errDown)},
		"10 s, refresh token lapsed, it fails": {10 * time.Second, time.Second, fails(errDown)},
	} {
		t.Run(name, func(t *testing.T) {
			within(t, roomtoken.Config{}, func(t *testing.T, w *world) {
				w.src.live(c.lifetime, c.refreshLifetime)
				first := w.token("r")
				c.fault(w)
				usable := c.lifetime - min(30*time.Second, c.lifetime/10)
				for range 100 {
					w.add(usable / 100)
					// Neither a wait nor an error, although the ctx has ended.
					if tok, err := w.hit("r"); err != nil || !tok.Value.Equal(first.Value) {
						t.Fatalf("Token() after %v = %v, want the first token", w.clk.elapsed(), err)
					}
				}
				if w.src.count() < 2 {
					t.Fatal("no renewal was attempted")
				}
				if n := w.m.Stats().Misses; n != 1 {
					t.Errorf("Misses = %d, want 1, the first caller's", n)
				}
				w.add(1)
				if _, err := w.hit("r"); err == nil {
					t.Fatalf("Token() after %v returned the token, want an error", w.clk.elapsed())
				}
			})
		})
	}
}

// A renewal needs no caller, and callers do not wait for it.
func TestPromise3InTheBackground(t *testing.T) {
	for name, c := range map[string]struct {
		lifetime time.Duration
		hours    int
		least    int // renewals
		most     int
	}{
		"10 min": {10 * time.Minute, 24, 24 * 9, 24*60*60/340 + 1},
		"10 s":   {10 * time.Second, 1, 3600 * 10 / 67, 3600 * 10 / 56},
	} {
		t.Run(name, func(t *testing.T) {
			within(t, roomtoken.Config{IdleAfter: -1}, func(t *testing.T, w *world) {
				w.src.live(c.lifetime, 24*time.Hour)
				w.token("r")
				for range c.hours * 12 {
					w.add(5 * time.Minute)
					if _, err := w.hit("r"); err != nil {
						t.Fatalf("Token() after %v = %v, want a token", w.clk.elapsed(), err)
					}
				}
				if n := w.m.Stats().Misses; n != 1 {
					t.Errorf("Misses = %d, want 1", n)
				}
				if n := w.src.count() - 1; n < c.least || n > c.most {
					t.Errorf("%d renewals in %d hours, want %d to %d", n, c.hours, c.least, c.most)
				}
			})
		})
	}
}

// Neither hanging calls nor waiting callers get in the way of a room that has a
// token.
func TestPromise3HitsWhileAllSlotsAreTaken(t *testing.T) {
	within(t, roomtoken.Config{MaxConcurrentCalls: 2, MaxWait: -1}, func(t *testing.T, w *world) {
		w.token("r")
		w.src.holdCalls(true)
		ctx, cancel := context.WithCancel(context.Background())
		for _, room := range []string{"a", "b", "c", "d"} {
			w.ask(ctx, room)
		}
		w.add(569 * time.Second) // its renewal is due and finds no slot
		if _, err := w.hit("r"); err != nil {
			t.Fatal(err)
		}
		w.served(w.askFor(context.Background(), "r", 31*time.Second))
		cancel()
	})
}

// A refresh that returns a token which ends before the present one: the present one
// stays. This is no failure, of the room or of the source, and nobody has to wait when the
// present token ends.
func TestPromise3RefreshAnswersAShorterToken(t *testing.T) {
	within(t, roomtoken.Config{Jitter: -1}, func(t *testing.T, w *world) {
		first := w.token("r")
		w.src.live(30*time.Second, time.Hour)
		for w.clk.elapsed() < 569*time.Second {
			w.add(min(10*time.Second, 569*time.Second-w.clk.elapsed()))
			if tok, err := w.hit("r"); err != nil || !tok.Value.Equal(first.Value) {
				t.Fatalf("Token() after %v = %v, want the token that lives longer", w.clk.elapsed(), err)
			}
			if w.m.Stats().Probing {
				t.Fatalf("Probing after %v, want the source to count as up", w.clk.elapsed())
			}
		}
		if n := w.src.count(); n < 2 || n > 20 {
			t.Errorf("%d calls until the first token ended, want 2 to 20", n)
		}
		for range 60 {
			w.add(2 * time.Second)
			w.served(w.ask(t.Context(), "r"))
		}
	})
}

// A refresh that returns an expired token fails, and the current token stays.
func TestPromise3RefreshAnswersAnExpiredToken(t *testing.T) {
	within(t, roomtoken.Config{Jitter: -1}, func(t *testing.T, w *world) {
		first := w.token("r")
		w.src.live(-time.Hour, time.Hour)
		w.add(400 * time.Second)
		if tok, err := w.hit("r"); err != nil || !tok.Value.Equal(first.Value) {
			t.Fatalf("Token() = %v, want the current token", err)
		}
		if s, _ := w.m.Room("r"); s.Failures != 1 || s.State != roomtoken.RoomRetrying {
			t.Errorf("Room() = %+v, want RoomRetrying with one failure", s)
		}
		w.src.live(10*time.Minute, time.Hour)
		w.add(time.Second)
		if tok, err := w.hit("r"); err != nil || tok.Value.Equal(first.Value) {
			t.Fatalf("Token() = %v, want a new token from another attempt", err)
		}
		w.calls("r", create, refresh, refresh)
	})
}

// Where callers regularly ask for longer than the renewal leaves, the renewal moves ahead:
// after the first lifetime nobody waits.
func TestPromise3NobodyWaitsForALongerNeed(t *testing.T) {
	const lifetime, latency = 10 * time.Minute, 2 * time.Second
	ended, cancel := context.WithCancel(context.Background())
	cancel()
	for name, c := range map[string]struct {
		config roomtoken.Config
		need   time.Duration
		from   time.Duration // nobody waits from then on
	}{
		"TokenValidFor of 5 min": {roomtoken.Config{}, 5 * time.Minute, lifetime},
		"TokenValidFor of 4 min": {roomtoken.Config{}, 4 * time.Minute, lifetime},
		"MinValidity of 2 min":   {roomtoken.Config{MinValidity: 2 * time.Minute}, 0, latency},
		"MinValidity of 5 min":   {roomtoken.Config{MinValidity: 5 * time.Minute}, 0, latency},
	} {
		t.Run(name, func(t *testing.T) {
			within(t, c.config, func(t *testing.T, w *world) {
				w.src.on(func(c *sourceCall) (roomtoken.Grant, error) {
					g := w.src.mint(c)
					w.clk.Sleep(latency)
					return g, nil
				})
				w.askFor(t.Context(), "r", c.need)
				w.add(latency)
				for w.clk.elapsed() < 2*time.Hour {
					w.add(5 * time.Second)
					if w.clk.elapsed() < c.from {
						w.askFor(t.Context(), "r", c.need)
						continue
					}
					tok, err := w.m.TokenValidFor(ended, "r", c.need)
					if err != nil {
						t.Fatalf("TokenValidFor() after %v = %v, want no wait", w.clk.elapsed(), err)
					}
					if left, least := tok.ExpiresAt.Sub(w.clk.Now()), max(c.need, c.config.MinValidity); left < least {
						t.Fatalf("a token with %v left after %v, want %v", left, w.clk.elapsed(), least)
					}
				}
				if n := w.src.count(); n < 15 || n > 40 {
					t.Errorf("%d calls in 2 hours, want 15 to 40", n)
				}
				w.src.on(nil)
				w.add(latency) // a call in flight ends
			})
		})
	}
}

// What callers asked for counts until a renewal brings a token, not only until the present
// one is invalidated.
func TestPromise3ALongerNeedOutlivesInvalidate(t *testing.T) {
	within(t, roomtoken.Config{Jitter: -1}, func(t *testing.T, w *world) {
		renewal := func() time.Duration {
			s, _ := w.m.Room("r")
			return s.NextCallAt.Sub(w.clk.Now())
		}
		first := w.token("r")
		if got := renewal(); got != 400*time.Second {
			t.Fatalf("renewal in %v, want the usual 400 s", got)
		}
		if _, err := w.m.TokenValidFor(t.Context(), "r", 5*time.Minute); err != nil {
			t.Fatal(err)
		}
		w.m.Invalidate("r", first)
		w.token("r")
		if got := renewal(); got > 5*time.Minute || got < time.Minute {
			t.Errorf("renewal of the token that replaces it in %v, want 1 to 5 min", got)
		}
		w.add(5 * time.Minute)
		if got := renewal(); got < 5*time.Minute {
			t.Errorf("the renewal after that in %v, want 5 min or more: nobody has asked for so much again", got)
		}
	})
}
