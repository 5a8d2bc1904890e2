package roomtoken_test

import (
	"context"
	"errors"
	"math"
	"strings"
	"sync/atomic"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/roomtoken/roomtoken"
)

// fuzzPatience bounds the real time of one run on an instant source: much more than
// it takes, much less than an endless loop.
const fuzzPatience = 5 * time.Second

// instant is a source that answers at once and counts its calls.
type instant struct {
	grant func() roomtoken.Grant
	err   error
	calls atomic.Int64
}

func (s *instant) Create(context.Context, string) (roomtoken.Grant, error) {
	s.calls.Add(1)
	if s.err != nil {
		return roomtoken.Grant{}, s.err
	}
	return s.grant(), nil
}

func (s *instant) Refresh(ctx context.Context, roomID string, _ roomtoken.Token) (roomtoken.Grant, error) {
	return s.Create(ctx, roomID)
}

func anHour() roomtoken.Grant {
	now := time.Now()
	return roomtoken.Grant{Token: roomtoken.Token{Value: roomtoken.NewSecret("token"), ExpiresAt: now.Add(time.Hour)}}
}

// checkText fails the test if the text of an error is not printable.
func checkText(t *testing.T, err error) {
	t.Helper()
	if text := err.Error(); len(text) > 2000 || !utf8.ValidString(text) || strings.ContainsFunc(text, func(r rune) bool { return r < ' ' || r == 0x7f }) {
		t.Errorf("error text = %q, want at most 2,000 printable bytes", text)
	}
}

// FuzzRoomID checks that every method accepts a room ID of 1 to 1,024 bytes, and
// refuses any other with a readable error.
func FuzzRoomID(f *testing.F) {
	for _, id := range []string{
		"", "r", "0ccc7b54-4df3-4bca-a65a-3da1ecc777f0", "\x00", "\xff\xfe", "a\nb", "\u202e", "%s%n%!", `"`, "../../evil?x=1#f",
		strings.Repeat("x", 1024), strings.Repeat("x", 1025), strings.Repeat("é", 41), strings.Repeat("\xf0", 81), strings.Repeat("x", 1<<20),
	} {
		f.Add(id)
	}
	good := &instant{grant: anHour}
	m, err := roomtoken.NewManager(good, roomtoken.Config{MaxRooms: 100})
	if err != nil {
		f.Fatal(err)
	}
	bad, err := roomtoken.NewManager(&instant{err: roomtoken.Permanent(errors.New("no"))}, roomtoken.Config{MaxRooms: 100, OnEvent: func(e roomtoken.Event) {
		if text := e.String(); !utf8.ValidString(text) || strings.ContainsAny(text, "\n\x00") {
			panic(text)
		}
	}})
	if err != nil {
		f.Fatal(err)
	}
	f.Cleanup(func() { _, _ = m.Close(), bad.Close() })
	f.Fuzz(func(t *testing.T, id string) {
		valid := id != "" && len(id) <= 1024
		tok, err := m.Token(t.Context(), id)
		if (err == nil) != valid || tok.IsZero() == valid {
			t.Fatalf("Token of a room ID of %d bytes = (%v, %v), want success: %v", len(id), tok, err, valid)
		}
		if err != nil {
			if !errors.Is(err, roomtoken.ErrPermanent) {
				t.Errorf("error = %v, want ErrPermanent", err)
			}
			checkText(t, err)
		}
		if again, err := m.Token(t.Context(), id); valid && (err != nil || !again.Value.Equal(tok.Value)) {
			t.Errorf("second Token() = (%v, %v), want the same token", again, err)
		}
		status, ok := m.Room(id)
		_, cached := m.Cached(id)
		if ok != valid || cached != valid || valid && status.RoomID != id {
			t.Errorf("Room() = (%v, %v), Cached: %v, want %v", status, ok, cached, valid)
		}
		if warmed := m.Warm(t.Context(), id); (warmed == nil) != valid {
			t.Errorf("Warm() = %v, want success: %v", warmed, valid)
		}
		for tok, err := range m.Watch(t.Context(), id) {
			if (err == nil) != valid || tok.IsZero() == valid {
				t.Errorf("Watch yields (%v, %v), want a token: %v", tok, err, valid)
			}
			break
		}
		if m.Invalidate(id, tok) != valid {
			t.Errorf("Invalidate() = %v, want %v", !valid, valid)
		}
		m.Forget(id)
		if _, ok := m.Room(id); ok {
			t.Error("Room finds the room after Forget, want none")
		}
		if _, err := bad.Token(t.Context(), id); err == nil {
			t.Error("Token of a source that always fails succeeds, want an error")
		} else {
			checkText(t, err)
		}
		bad.Forget(id)
		if n := m.Stats().Rooms; n != 0 {
			t.Errorf("%d rooms after Forget, want 0", n)
		}
	})
}

// FuzzConfig checks that NewManager either refuses a Config or returns a Manager
// that works and does not call its source in a loop.
func FuzzConfig(f *testing.F) {
	const far, past = math.MaxInt64, math.MinInt64
	f.Add(0.0, 0.0, int64(0), int64(0), int64(0), int64(0), int64(0), int64(0), int64(0), int64(0), false)
	f.Add(0.85, -1.0, int64(-1), int64(-1), int64(-1), int64(1), int64(-1), int64(-1), int64(1), int64(1), true)
	f.Add(5e-324, 0.0, int64(far), int64(far), int64(far), int64(far), int64(far), int64(far), int64(far), int64(far), true)
	f.Add(math.NaN(), math.NaN(), int64(past), int64(past), int64(past), int64(past), int64(past), int64(past), int64(past), int64(past), false)
	f.Add(0.5, math.Inf(-1), int64(1), int64(1), int64(1), int64(1), int64(1), int64(1), int64(1), int64(1), true)
	f.Add(0.5, 0.49, int64(past), int64(past), int64(past), int64(3), int64(time.Second), int64(past), int64(far-1), int64(far), true)
	f.Fuzz(func(t *testing.T, refreshAfter, jitter float64, minValidity, idleAfter, maxRooms, maxCalls, callTimeout, maxWait, backoffMin, backoffMax int64, fails bool) {
		src := &instant{grant: anHour}
		if fails {
			src.err = errors.New("down")
		}
		m, err := roomtoken.NewManager(src, roomtoken.Config{
			RefreshAfter: refreshAfter, Jitter: jitter,
			MinValidity: time.Duration(minValidity), IdleAfter: time.Duration(idleAfter),
			MaxRooms: int(maxRooms), MaxConcurrentCalls: int(maxCalls),
			CallTimeout: time.Duration(callTimeout), MaxWait: time.Duration(maxWait),
			BackoffMin: time.Duration(backoffMin), BackoffMax: time.Duration(backoffMax),
		})
		if err != nil {
			if m != nil || !strings.Contains(err.Error(), "Config.") {
				t.Errorf("NewManager() = (%v, %v), want an error only that names the fields", m, err)
			}
			return
		}
		begun := time.Now()
		ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
		if !fails {
			ctx, cancel = context.WithTimeout(t.Context(), fuzzPatience)
		}
		for _, room := range []string{"a", "b", "a"} {
			tok, err := m.Token(ctx, room)
			switch {
			case err == nil && (fails || time.Until(tok.ExpiresAt) < time.Minute):
				t.Errorf("Token() = %v, want one that lives for an hour", tok)
			case err != nil:
				// MaxRooms may be 1, and a call or a wait may be limited to nanoseconds.
				if !fails && !errors.Is(err, roomtoken.ErrTooManyRooms) && callTimeout > int64(time.Second) && (maxWait <= 0 || maxWait > int64(time.Second)) {
					t.Errorf("Token(%q) = %v, want a token", room, err)
				}
				checkText(t, err)
			}
		}
		cancel()
		for _, fault := range m.CheckInvariants() {
			t.Errorf("invariant broken: %s", fault)
		}
		if err := m.Close(); err != nil && callTimeout > int64(time.Second) {
			t.Errorf("Close: %v", err)
		}
		took := time.Since(begun)
		// A millisecond of failures: the shortest backoff is 1 ns and grows by at least half.
		if most := int64(2 * 64); src.calls.Load() > most && backoffMax > int64(time.Millisecond) {
			t.Errorf("%d calls in %v, want at most %d", src.calls.Load(), took, most)
		}
		if took > fuzzPatience {
			t.Errorf("run took %v, want at most %v", took, fuzzPatience)
		}
	})
}

// FuzzGrant checks that, whatever times a source returns, the Manager returns no
// expired token and does not call the source in a loop.
func FuzzGrant(f *testing.F) {
	const far, past = math.MaxInt64, math.MinInt64
	for _, seed := range [][3]int64{
		{int64(time.Hour), 0, int64(time.Hour)},
		{0, 0, 0},
		{1, 1, 1},
		{far, far, far},
		{past, past, past},
		{far, past, far},
		{past, far, past},
		{int64(time.Second), past, 0},
		{int64(time.Hour), int64(-time.Hour), int64(-time.Hour)},
		{int64(time.Hour), int64(time.Hour), 1},
		{far, 0, -1},
		{1e6, -1e6, 0},
	} {
		f.Add(seed[0], seed[1], seed[2], true, "token", "refresh")
		f.Add(seed[0], seed[1], seed[2], false, "\x00", "")
	}
	f.Fuzz(func(t *testing.T, expires, issued, refreshExpires int64, relative bool, token, refresh string) {
		at := func(offset int64) time.Time {
			if relative { // within a Duration of now
				return time.Now().Add(time.Duration(offset))
			}
			return time.Unix(offset, 0) // any year
		}
		src := &instant{}
		src.grant = func() roomtoken.Grant {
			g := roomtoken.Grant{
				Token:        roomtoken.Token{Value: roomtoken.NewSecret(token), ExpiresAt: at(expires)},
				RefreshToken: roomtoken.Token{Value: roomtoken.NewSecret(refresh), ExpiresAt: at(refreshExpires)},
			}
			if issued != 0 {
				g.IssuedAt = at(issued)
			}
			return g
		}
		m, err := roomtoken.NewManager(src, roomtoken.Config{})
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond) // less than BackoffMin
		defer cancel()
		for range 3 {
			tok, err := m.Token(ctx, "r")
			switch {
			case err == nil && (!time.Now().Before(tok.ExpiresAt) || tok.Value.Reveal() != token):
				t.Errorf("Token() = %v at %v, want a valid one", tok, time.Now())
			case err != nil && !errors.Is(err, roomtoken.ErrInvalidGrant) && !errors.Is(err, context.DeadlineExceeded):
				t.Errorf("Token() = %v, want ErrInvalidGrant or DeadlineExceeded", err)
			case err != nil:
				checkText(t, err)
			}
		}
		for _, fault := range m.CheckInvariants() {
			t.Errorf("invariant broken: %s", fault)
		}
		if err := m.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
		if calls := src.calls.Load(); calls > 3 {
			t.Errorf("%d calls, want at most 3", calls)
		}
	})
}
