package roomtoken_test

import (
	"bytes"
	"context"
	"encoding/gob"
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/roomtoken/roomtoken"
)

// Promise 12: no secret leaks.

// ears records everything that a program could print.
type ears struct {
	safeBuffer
	heard sync.Map
}

// isNew reports whether no such value was recorded yet, apart from its digits.
func (e *ears) isNew(v any) bool {
	text := strings.Map(func(r rune) rune {
		if r >= '0' && r <= '9' {
			return -1
		}
		return r
	}, fmt.Sprintf("%T %+v", v, v))
	_, _ = fmt.Fprintln(e, text)
	_, known := e.heard.LoadOrStore(text, true)
	return !known
}

// verbs are the verbs used to print each value.
var verbs = []string{
	"%v", "%+v", "%#v", "%s", "%+s", "%#s", "%q", "%+q", "%#q", "%x", "%X", "% x", "%#x", "%d", "%b", "%o", "%O", "%c", "%U", "%#U",
	"%e", "%g", "%f", "%t", "%p", "%T", "%w", "%z", "%!", "%10v", "%-10v", "%010d", "%.3s", "%.100q", "%[1]v",
}

// hear prints each value in every possible way.
func (e *ears) hear(values ...any) {
	for _, v := range values {
		if !e.isNew(v) {
			continue
		}
		for _, verb := range verbs {
			_, _ = fmt.Fprintf(e, verb+"\n", v)
		}
		_, _ = fmt.Fprintln(e, v)
		for _, mistake := range []string{"extra\n", "%*d\n", "%[3]v %v\n", "%.*s", "%!(EXTRA"} {
			_, _ = fmt.Fprintf(e, mistake, v)
		}
		_, _ = fmt.Fprintln(e, fmt.Errorf("wrapped: %v", v), []any{v}, map[string]any{"k": v}, &v)
		_, _ = fmt.Fprintf(e, "%+v %#v\n", struct{ Exported, unexported any }{v, v}, struct{ unexported any }{v})
		if text, err := json.Marshal(v); err == nil {
			_, _ = e.Write(text)
		}
		if text, err := json.MarshalIndent(map[string]any{"k": v}, "", " "); err == nil {
			_, _ = e.Write(text)
		}
		_ = xml.NewEncoder(e).Encode(v)
		_ = gob.NewEncoder(e).Encode(v)
		for _, h := range []slog.Handler{slog.NewTextHandler(e, nil), slog.NewJSONHandler(e, nil)} {
			slog.New(h).Info("value", "v", v, slog.Group("g", slog.Any("v", v)))
		}
		if err, ok := v.(error); ok {
			for ; err != nil; err = errors.Unwrap(err) {
				_, _ = fmt.Fprintf(e, "%v %+v %#v\n", err, err, err)
			}
		}
	}
}

// wantSilent fails the test if one of the canaries was recorded, in any encoding.
func (e *ears) wantSilent(t *testing.T, canaries ...string) {
	t.Helper()
	heard := e.String()
	if len(heard) < 10_000 {
		t.Fatalf("%d bytes recorded, want at least 10,000: the test proves nothing", len(heard))
	}
	for _, c := range canaries {
		for _, guise := range []string{c, fmt.Sprintf("%x", c), fmt.Sprintf("%X", c), fmt.Sprintf("% x", c), fmt.Sprint([]byte(c))} {
			if at := strings.Index(heard, guise); at >= 0 {
				t.Errorf("the canary %q was printed: ...%s...", c, heard[max(0, at-200):min(len(heard), at+len(guise)+100)])
			}
		}
	}
}

func TestPromise12NothingSecretLeaks(t *testing.T) {
	const canary = "canary"
	all := &ears{}
	var m *roomtoken.Manager
	config := roomtoken.Config{
		Jitter: -1, MaxRooms: 20, MaxWait: 2 * time.Second,
		Logger:  slog.New(slog.NewJSONHandler(all, &slog.HandlerOptions{Level: slog.LevelDebug, AddSource: true})),
		OnEvent: func(e roomtoken.Event) { all.hear(e, &e, e.String(), e.Err) },
	}
	within(t, config, func(t *testing.T, w *world) {
		m = w.m
		minted := 0
		secret := func(kind string) roomtoken.Secret {
			minted++
			return roomtoken.NewSecret(fmt.Sprintf("%s-%s-%d", kind, canary, minted))
		}
		mint := func(c *sourceCall) roomtoken.Grant {
			g := w.src.mint(c)
			w.src.mu.Lock()
			defer w.src.mu.Unlock()
			g.Token.Value = secret("token")
			if !g.RefreshToken.IsZero() {
				g.RefreshToken.Value = secret("refresh")
			}
			all.hear(g, &g)
			return g
		}
		minting := func(c *sourceCall) (roomtoken.Grant, error) { return mint(c), nil }
		look := func() {
			all.hear(m, w.m.Stats())
			for s := range w.m.Rooms() {
				one, _ := w.m.Room(s.RoomID)
				all.hear(s, &s, one, s.LastError)
			}
		}
		ask := func(room string) roomtoken.Token {
			p := w.ask(t.Context(), room)
			if !p.returned() {
				w.add(3 * time.Second) // MaxWait passes
			}
			<-p.done
			all.hear(p.tok, &p.tok, p.err)
			return p.tok
		}
		refreshing := func(throw func(refresh string) error) {
			w.src.on(func(c *sourceCall) (roomtoken.Grant, error) {
				if c.kind == refresh {
					return roomtoken.Grant{}, throw(c.refresh)
				}
				return mint(c), nil
			})
		}

		w.src.on(minting)
		for _, id := range []string{"a", "b", "c", "d", "e"} {
			ask(id)
		}
		watched := w.watch("watched", func(tok roomtoken.Token, err error) { all.hear(tok, err) })
		look()

		// Renewals that panic with the refresh token in the value.
		for _, throw := range []func(refresh string) error{
			func(refresh string) error { panic("refused: " + refresh) },
			func(refresh string) error { panic(errors.New("refused: " + refresh)) },
			func(refresh string) error { panic(fmt.Sprintf("refused: %q and again %s", refresh, refresh)) },
			func(refresh string) error { panic([]any{refresh}) },
			func(refresh string) error { panic(roomtoken.Grant{Token: bare(refresh)}) },
		} {
			refreshing(throw)
			w.add(401 * time.Second)
			look()
			ask("a")
			w.src.on(minting)
			w.add(time.Minute)
		}
		// Other failures of every kind.
		for _, err := range []error{
			errDown, roomtoken.ErrRefreshRejected, roomtoken.Permanent(errDown),
			roomtoken.RetryAfter(roomtoken.ErrRateLimited, 30*time.Second),
		} {
			refreshing(func(string) error { return err })
			w.add(401 * time.Second)
			look()
			ask("a")
			ask("new" + err.Error())
			w.src.on(minting)
			w.add(time.Minute)
		}
		// Unusable grants.
		for _, spoil := range []func(*roomtoken.Grant){
			func(g *roomtoken.Grant) { g.Token.ExpiresAt = time.Time{} },
			func(g *roomtoken.Grant) { g.Token.ExpiresAt = w.clk.Now() },
			func(g *roomtoken.Grant) { g.Token.Value = roomtoken.Secret{} },
			func(g *roomtoken.Grant) { g.IssuedAt = w.clk.Now().Add(-time.Hour) },
		} {
			w.src.on(func(c *sourceCall) (roomtoken.Grant, error) {
				g := mint(c)
				spoil(&g)
				return g, nil
			})
			ask(fmt.Sprint("spoiled", minted))
			w.add(20 * time.Second)
			look()
		}
		w.src.on(minting)
		// The rest of the API.
		w.add(time.Minute)
		tok := ask("b")
		w.m.Invalidate("b", tok)
		w.m.Invalidate("b", ask("b"))
		w.m.Forget("c")
		p := w.askFor(t.Context(), "d", time.Hour)
		w.add(3 * time.Second)
		all.hear(p.err)
		cached, _ := w.m.Cached("d")
		all.hear(cached, w.m.Watch(t.Context(), "d"))
		all.hear(w.m.Warm(t.Context(), "d", "e", ""))
		ctx, cancel := context.WithCancelCause(context.Background())
		cancel(errors.New("the caller has gone"))
		_, err := w.m.Token(ctx, "cold")
		all.hear(err)
		w.src.holdCalls(true)
		w.ask(t.Context(), "deaf")
		w.add(11 * time.Second)
		ask("deaf")
		look()
		w.src.releaseAll()
		for i := range 30 {
			ask(fmt.Sprint("many", i))
		}
		watched.cancel(nil)
		all.hear(w.m.Close())
		look()
		w.rest()
		if minted < 60 || w.eventCounts()[roomtoken.EventRoomEvicted] == 0 || w.eventCounts()[roomtoken.EventHeldBack] == 0 || w.eventCounts()[roomtoken.EventFellBack] == 0 {
			t.Errorf("%d secrets and the events %v, want at least 60 and some of each kind", minted, w.eventCounts())
		}
	})
	all.wantSilent(t, canary)
	for _, want := range []string{"[redacted]", "held back", "panic"} {
		if !strings.Contains(all.String(), want) {
			t.Errorf("%q was not printed, want it: the test proves nothing", want)
		}
	}
}

// A Manager can be printed at any time without a data race.
func TestPromise12AManagerIsPrintedConcurrently(t *testing.T) {
	within(t, roomtoken.Config{Jitter: -1}, func(t *testing.T, w *world) {
		var printers sync.WaitGroup
		holder := struct {
			Exported   *roomtoken.Manager
			unexported *roomtoken.Manager
		}{w.m, w.m}
		for range 4 {
			printers.Go(func() {
				for range 5 {
					for _, verb := range verbs {
						_, _ = fmt.Fprintf(io.Discard, verb, w.m)
						_, _ = fmt.Fprintf(io.Discard, verb, holder)
						_, _ = fmt.Fprintf(io.Discard, verb, &holder)
					}
					_ = json.NewEncoder(io.Discard).Encode(holder)
					slog.New(slog.NewJSONHandler(io.Discard, nil)).Info("m", "m", w.m)
				}
			})
		}
		for i := range 200 {
			w.token(fmt.Sprint("r", i))
			w.m.Forget(fmt.Sprint("r", i-10))
		}
		printers.Wait()

		for _, verb := range verbs {
			if verb == "%p" || verb == "%T" || verb == "%!" {
				continue
			}
			if got := fmt.Sprintf(verb, w.m); !strings.HasPrefix(got, "roomtoken.Manager{rooms: ") && !strings.HasPrefix(got, "%!w") {
				t.Errorf("%s prints %q, want roomtoken.Manager{rooms: ...", verb, got)
			}
		}
		var none *roomtoken.Manager
		if got := fmt.Sprint(none); got != "roomtoken.Manager(nil)" {
			t.Errorf("a nil Manager prints %q, want roomtoken.Manager(nil)", got)
		}
		var out bytes.Buffer
		if err := json.NewEncoder(&out).Encode(w.m); err != nil || out.String() != "{}\n" {
			t.Errorf("JSON = (%s, %v), want {}", out.String(), err)
		}
	})
}

// keyed is a source with a key in plain fields.
type keyed struct {
	*source
	key   string
	inner struct{ key []byte }
}

// Where fmt calls no method (%w outside Errorf, or for a value that is not an
// error), a Manager shows nothing of its fields.
func TestPromise12AManagerShowsNothingOfItsSource(t *testing.T) {
	within(t, roomtoken.Config{}, func(t *testing.T, w *world) {
		src := keyed{source: w.src, key: "canary-key"}
		src.inner.key = []byte("canary-key")
		m, err := roomtoken.NewManager(src, roomtoken.Config{Clock: w.clk})
		if err != nil {
			t.Fatal(err)
		}
		w.rest() // nothing may change while it is printed
		for _, verb := range verbs {
			for _, text := range []string{fmt.Sprintf(verb, m), fmt.Errorf(verb, m).Error()} {
				if strings.Contains(text, "canary") || strings.Contains(text, fmt.Sprint([]byte("canary"))[1:10]) {
					t.Errorf("%s prints the source's key: %s", verb, text)
				}
			}
		}
		if err := m.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
	})
}
