package roomtokentest

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/benbjohnson/clock"

	"github.com/roomtoken/roomtoken"
)

var errDown = errors.New("down")

// epoch is far from the epoch of clock.Mock.
var epoch = time.Date(2026, 7, 1, 12, 0, 0, 0, time.UTC)

func newMock() *clock.Mock {
	mock := clock.NewMock()
	mock.Set(epoch)
	return mock
}

func waitCalls(t *testing.T, src *Source, n int) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	if err := src.WaitCalls(ctx, n); err != nil {
		t.Fatalf("no %d calls in flight: %v", n, err)
	}
}

// result is what a call returns.
type result struct {
	grant roomtoken.Grant
	err   error
}

// background makes a Create in a goroutine.
func background(ctx context.Context, src *Source, room string) <-chan result {
	done := make(chan result, 1)
	go func() {
		grant, err := src.Create(ctx, room)
		done <- result{grant, err}
	}()
	return done
}

func wantBlocked(t *testing.T, done <-chan result) {
	t.Helper()
	select {
	case r := <-done:
		t.Fatalf("the call returned: %+v", r)
	default:
	}
}

func TestZeroSource(t *testing.T) {
	var src Source
	before := time.Now()
	grant, err := src.Create(t.Context(), "lobby")
	after := time.Now()
	if err != nil {
		t.Fatal(err)
	}
	if at := grant.IssuedAt; at.Before(before) || at.After(after) {
		t.Errorf("issued at %v, not now", at)
	}
	next, err := src.Refresh(t.Context(), "lobby", grant.RefreshToken)
	if err != nil || next.Token.Value.Equal(grant.Token.Value) || next.Token.Value.IsZero() {
		t.Errorf("refresh: %v, %q", err, next.Token.Value.Reveal())
	}
}

func TestLifetimes(t *testing.T) {
	for _, tt := range []struct {
		name           string
		src            *Source
		token, refresh time.Duration // refresh 0: no refresh token
		rotated        time.Duration // of the refresh token that Refresh returns; 0: none
	}{
		{"defaults", &Source{}, 10 * time.Minute, time.Hour, 0},
		{"own", &Source{TokenTTL: time.Second, RefreshTokenTTL: time.Minute}, time.Second, time.Minute, 0},
		{"expired", &Source{TokenTTL: -time.Second}, -time.Second, time.Hour, 0},
		{"no refresh token", &Source{RefreshTokenTTL: -1}, 10 * time.Minute, 0, 0},
		{"rotating", &Source{Rotate: true}, 10 * time.Minute, time.Hour, time.Hour},
		{"rotating none", &Source{Rotate: true, RefreshTokenTTL: -1}, 10 * time.Minute, 0, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			mock := newMock()
			tt.src.Clock = mock
			created := tt.src.Mint("lobby")
			mock.Add(time.Second)
			refreshToken := (&Source{Clock: mock}).Mint("lobby").RefreshToken
			refreshed, err := tt.src.Refresh(t.Context(), "lobby", refreshToken)
			if err != nil {
				t.Fatal(err)
			}
			wantGrant(t, created, epoch, tt.token, tt.refresh)
			wantGrant(t, refreshed, epoch.Add(time.Second), tt.token, tt.rotated)
		})
	}
}

func wantGrant(t *testing.T, g roomtoken.Grant, issued time.Time, token, refresh time.Duration) {
	t.Helper()
	if !g.IssuedAt.Equal(issued) || g.Token.ExpiresAt.Sub(issued) != token {
		t.Errorf("issued %v, expires %v; want %v and %v later", g.IssuedAt, g.Token.ExpiresAt, issued, token)
	}
	switch {
	case refresh == 0 && !g.RefreshToken.IsZero():
		t.Error("there is a refresh token")
	case refresh != 0 && (g.RefreshToken.IsZero() || g.RefreshToken.ExpiresAt.Sub(issued) != refresh):
		t.Errorf("refresh token expires %v, want %v after %v", g.RefreshToken.ExpiresAt, refresh, issued)
	}
}

func TestRefreshTokensAreChecked(t *testing.T) {
	for _, tt := range []struct {
		name  string
		token func(*Source, *clock.Mock) roomtoken.Token
		want  error
	}{
		{"good", func(src *Source, _ *clock.Mock) roomtoken.Token { return src.Mint("lobby").RefreshToken }, nil},
		{"last moment", func(src *Source, mock *clock.Mock) roomtoken.Token {
			token := src.Mint("lobby").RefreshToken
			mock.Add(time.Hour - 1)
			return token
		}, nil},
		{"expired", func(src *Source, mock *clock.Mock) roomtoken.Token {
			token := src.Mint("lobby").RefreshToken
			mock.Add(time.Hour)
			return token
		}, roomtoken.ErrRefreshRejected},
		{"of another room", func(src *Source, _ *clock.Mock) roomtoken.Token { return src.Mint("attic").RefreshToken }, roomtoken.ErrRefreshRejected},
		{"not a refresh token", func(src *Source, _ *clock.Mock) roomtoken.Token { return src.Mint("lobby").Token }, roomtoken.ErrRefreshRejected},
		{"none", func(*Source, *clock.Mock) roomtoken.Token { return roomtoken.Token{} }, roomtoken.ErrRefreshRejected},
	} {
		t.Run(tt.name, func(t *testing.T) {
			mock := newMock()
			src := &Source{Clock: mock}
			if _, err := src.Refresh(t.Context(), "lobby", tt.token(src, mock)); !errors.Is(err, tt.want) {
				t.Errorf("got %v, want %v", err, tt.want)
			}
		})
	}
}

func TestFuncsReplaceTheMinting(t *testing.T) {
	own := roomtoken.Grant{Token: roomtoken.Token{Value: roomtoken.NewSecret("own"), ExpiresAt: epoch}}
	refreshToken := roomtoken.Token{Value: roomtoken.NewSecret("mine")}
	src := &Source{
		CreateFunc: func(_ context.Context, room string) (roomtoken.Grant, error) {
			return own, fmt.Errorf("create %s", room)
		},
		RefreshFunc: func(_ context.Context, room string, token roomtoken.Token) (roomtoken.Grant, error) {
			return own, fmt.Errorf("refresh %s %s", room, token.Value.Reveal())
		},
	}
	grant, err := src.Create(t.Context(), "lobby")
	if !grant.Token.Value.Equal(own.Token.Value) || err.Error() != "create lobby" {
		t.Errorf("got %v", err)
	}
	grant, err = src.Refresh(t.Context(), "lobby", refreshToken)
	if !grant.Token.Value.Equal(own.Token.Value) || err.Error() != "refresh lobby mine" {
		t.Errorf("got %v", err)
	}
}

// Which calls take which outcomes; "ok" is a call that was minted.
func TestScript(t *testing.T) {
	errA, errB := errors.New("A"), errors.New("B")
	for _, tt := range []struct {
		name   string
		script func(*Source)
		calls  string
		want   string
	}{
		{"nothing", func(*Source) {}, "create lobby, refresh lobby", "ok ok"},
		{"fail n times", func(s *Source) { s.Fail(errA, 2) }, "create lobby, refresh attic, create lobby", "A A ok"},
		{"fail never", func(s *Source) { s.Fail(errA, 0) }, "create lobby", "ok"},
		{"fail until cleared", func(s *Source) { s.Fail(errA, -1) }, "create lobby, create lobby, create lobby, clear, create lobby", "A A A ok"},
		{"in order", func(s *Source) { s.Next(Outcome{Err: errA}, Outcome{}, Outcome{Err: errB}) },
			"create lobby, create lobby, create lobby, create lobby", "A ok B ok"},
		{"by kind", func(s *Source) { s.Next(Outcome{On: Refresh, Err: errA}, Outcome{On: Create, Err: errB}) },
			"create lobby, create lobby, refresh lobby, refresh lobby", "B ok A ok"},
		{"by room", func(s *Source) { s.Next(Outcome{Room: "attic", Err: errA, Times: 2}) },
			"create lobby, create attic, refresh attic, create attic", "ok A A ok"},
		{"Fail behind Next", func(s *Source) { s.Next(Outcome{Err: errB}); s.Fail(errA, 1) }, "create lobby, create lobby, create lobby", "B A ok"},
		{"Do", func(s *Source) {
			s.Next(Outcome{Do: func(_ context.Context, c Call) (roomtoken.Grant, error) {
				return roomtoken.Grant{}, fmt.Errorf("%v-%s", c.Kind, c.Room)
			}, Err: errA})
		}, "refresh lobby, create lobby", "refresh-lobby ok"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			src := &Source{}
			tt.script(src)
			var got []string
			for call := range strings.SplitSeq(tt.calls, ", ") {
				kind, room, _ := strings.Cut(call, " ")
				var err error
				switch kind {
				case "clear":
					src.Clear()
					continue
				case "create":
					_, err = src.Create(t.Context(), room)
				case "refresh":
					_, err = src.Refresh(t.Context(), room, src.Mint(room).RefreshToken)
				}
				if err == nil {
					err = errors.New("ok")
				}
				got = append(got, err.Error())
			}
			if strings.Join(got, " ") != tt.want {
				t.Errorf("got %v, want %s", got, tt.want)
			}
		})
	}
}

func TestLatency(t *testing.T) {
	mock := newMock()
	src := &Source{Clock: mock, Latency: 2 * time.Second}
	src.Next(Outcome{Latency: time.Second})
	done := background(t.Context(), src, "lobby")
	waitCalls(t, src, 1)
	mock.Add(3*time.Second - 1)
	wantBlocked(t, done)
	mock.Add(1)
	if r := <-done; r.err != nil || !r.grant.IssuedAt.Equal(epoch.Add(3*time.Second)) {
		t.Errorf("got %+v, want a grant of the moment it was answered", r)
	}
	if at := src.Calls()[0].At; !at.Equal(epoch) {
		t.Errorf("the call is dated %v, want %v", at, epoch)
	}
}

// A call that waits, or is about to, ends with its ctx, unless told otherwise.
func TestContext(t *testing.T) {
	cause := errors.New("enough")
	for _, tt := range []struct {
		name   string
		src    *Source
		ignore bool
	}{
		{"latency", &Source{Latency: time.Hour}, false},
		{"hold", &Source{}, false},
		{"latency ignored", &Source{Latency: time.Hour, IgnoreContext: true}, true},
		{"hold ignored", &Source{IgnoreContext: true}, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			mock := newMock()
			tt.src.Clock = mock
			hold := tt.src.Hold()
			ctx, cancel := context.WithCancelCause(t.Context())
			done := background(ctx, tt.src, "lobby")
			waitCalls(t, tt.src, 1)
			cancel(cause)
			if !tt.ignore {
				if r := <-done; !errors.Is(r.err, cause) {
					t.Errorf("got %v, want %v", r.err, cause)
				}
				return
			}
			hold.Release()
			if tt.src.Latency > 0 {
				wantBlocked(t, done)
				mock.Add(time.Hour)
			}
			if r := <-done; r.err != nil {
				t.Error(r.err)
			}
		})
	}
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(cause)
	if _, err := new(Source).Create(ctx, "lobby"); !errors.Is(err, cause) {
		t.Errorf("with a ctx that has ended: got %v, want %v", err, cause)
	}
}

func TestHold(t *testing.T) {
	src := &Source{}
	all, lobby := src.Hold(), src.Hold("lobby", "cellar")
	inLobby, inAttic := background(t.Context(), src, "lobby"), background(t.Context(), src, "attic")
	waitCalls(t, src, 2)

	all.Release()
	all.Release()
	if r := <-inAttic; r.err != nil {
		t.Error(r.err)
	}
	wantBlocked(t, inLobby) // the other hold keeps it
	if _, err := src.Create(t.Context(), "attic"); err != nil {
		t.Error(err)
	}
	lobby.Release()
	if r := <-inLobby; r.err != nil {
		t.Error(r.err)
	}
	if _, err := src.Create(t.Context(), "lobby"); err != nil {
		t.Error(err)
	}
}

// An outcome is taken when the call begins: what is scripted while it is held is
// for the next one.
func TestOutcomesAreTakenAtTheBeginning(t *testing.T) {
	src := &Source{}
	src.Fail(errDown, 1)
	hold := src.Hold()
	done := background(t.Context(), src, "lobby")
	waitCalls(t, src, 1)
	src.Clear()
	hold.Release()
	if r := <-done; !errors.Is(r.err, errDown) {
		t.Errorf("got %v, want %v", r.err, errDown)
	}
}

func TestCounts(t *testing.T) {
	src := &Source{Clock: newMock()}
	grant, _ := src.Create(t.Context(), "lobby")
	_, _ = src.Refresh(t.Context(), "lobby", grant.RefreshToken)
	src.Fail(errDown, 1)
	_, _ = src.Create(t.Context(), "attic")

	hold := src.Hold()
	var done []<-chan result
	for _, room := range []string{"lobby", "lobby", "attic"} {
		done = append(done, background(t.Context(), src, room))
	}
	waitCalls(t, src, 3)
	if n := src.InFlight(); n != 3 {
		t.Errorf("%d in flight, want 3", n)
	}
	hold.Release()
	for _, d := range done {
		<-d
	}
	got := fmt.Sprint(src.Creates(), src.Refreshes(), src.InFlight(), src.MaxInFlight(), src.MaxInFlightPerRoom())
	if got != "5 1 0 3 2" {
		t.Errorf("creates, refreshes, in flight, most, most per room: %s, want 5 1 0 3 2", got)
	}
	if n := len(src.books.rooms); n != 0 {
		t.Errorf("%d rooms are kept for nothing", n)
	}

	calls := src.Calls()
	if len(calls) != 6 {
		t.Fatalf("%d calls in the log", len(calls))
	}
	if c := calls[0]; c.Kind != Create || c.Room != "lobby" || !c.At.Equal(epoch) || !c.RefreshToken.IsZero() {
		t.Errorf("%+v", c)
	}
	if c := calls[1]; c.Kind != Refresh || !c.RefreshToken.Value.Equal(grant.RefreshToken.Value) {
		t.Errorf("%+v", c)
	}
}

func TestLogIsBounded(t *testing.T) {
	src := &Source{}
	for i := range MaxCalls + 3 {
		_, _ = src.Create(t.Context(), fmt.Sprint(i))
	}
	calls := src.Calls()
	if len(calls) != MaxCalls || calls[0].Room != "3" || calls[MaxCalls-1].Room != fmt.Sprint(MaxCalls+2) {
		t.Errorf("%d calls, from %s to %s", len(calls), calls[0].Room, calls[len(calls)-1].Room)
	}
}

func TestWaitCallsEndsWithItsContext(t *testing.T) {
	cause := errors.New("enough")
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(cause)
	var src Source
	if err := src.WaitCalls(ctx, 1); !errors.Is(err, cause) {
		t.Errorf("got %v, want %v", err, cause)
	}
	if err := src.WaitCalls(ctx, 0); err != nil {
		t.Errorf("got %v for what is there", err)
	}
}

// Calls that panic or end their goroutine are counted out.
func TestPanicAndGoexit(t *testing.T) {
	src := &Source{}
	src.Next(
		Outcome{Do: func(context.Context, Call) (roomtoken.Grant, error) { panic("on demand") }},
		Outcome{Do: func(context.Context, Call) (roomtoken.Grant, error) { runtime.Goexit(); panic("unreachable") }},
	)
	for range 2 {
		var wg sync.WaitGroup
		wg.Go(func() {
			defer func() { _ = recover() }()
			_, _ = src.Create(t.Context(), "lobby")
			t.Error("the call returned")
		})
		wg.Wait()
	}
	if n := src.InFlight(); n != 0 {
		t.Errorf("%d in flight, want 0", n)
	}
}

func TestConcurrentCalls(t *testing.T) {
	src := &Source{Latency: time.Microsecond}
	var seen sync.Map
	var wg sync.WaitGroup
	for i := range 64 {
		wg.Go(func() {
			for range 10 {
				grant, err := src.Create(t.Context(), fmt.Sprint(i%7))
				if _, twice := seen.LoadOrStore(grant.Token.Value.Reveal(), true); err != nil || twice {
					t.Error("minted twice, or", err)
				}
				src.Hold().Release()
				src.Next(Outcome{})
				src.Calls()
				_ = src.WaitCalls(t.Context(), 0)
			}
		})
	}
	wg.Wait()
	if src.Creates() != 640 || src.InFlight() != 0 {
		t.Error(src.Creates(), src.InFlight())
	}
}

// What a Source prints of its calls shows no refresh token.
func TestCallsPrintNoSecret(t *testing.T) {
	src := &Source{}
	_, _ = src.Refresh(t.Context(), "lobby", src.Mint("lobby").RefreshToken)
	if text := fmt.Sprintf("%+v %#v", src.Calls(), src.Calls()); strings.Contains(text, "refresh token 1") {
		t.Error(text)
	}
}
