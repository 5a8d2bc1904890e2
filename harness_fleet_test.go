package roomtoken_test

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/benbjohnson/clock"

	"github.com/roomtoken/roomtoken"
	"github.com/roomtoken/roomtoken/roomtokentest"
)

// fleet is several Managers, as of several processes, that share a store and a source. It
// runs in the time of its bubble.
type fleet struct {
	t     *testing.T // the bubble's own
	store *roomtokentest.Store
	src   *source
	procs []*process
	deaf  bool // calls of the store ignore their ctx
}

// process is a Manager of a fleet, and the store as it sees it.
type process struct {
	*world
	store *roomtokentest.Store
}

// withFleet runs test in a bubble, on n Managers with the given Config and a source whose
// calls take 50 ms. When test returns, it checks the invariants and that Close leaves
// nothing behind.
func withFleet(t *testing.T, n int, config roomtoken.Config, test func(t *testing.T, f *fleet)) {
	t.Helper()
	withDeafFleet(t, false, n, config, test)
}

// withDeafFleet is like withFleet; deaf: calls of the store ignore their ctx.
func withDeafFleet(t *testing.T, deaf bool, n int, config roomtoken.Config, test func(t *testing.T, f *fleet)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		f := &fleet{t: t, deaf: deaf, store: &roomtokentest.Store{Latency: time.Millisecond}}
		f.src = &source{clk: clock.New(), lifetime: 10 * time.Minute, refreshLifetime: time.Hour}
		f.src.on(func(c *sourceCall) (roomtoken.Grant, error) { return f.slowly(c) })
		for range n {
			f.start(config)
		}
		defer func() {
			f.rest()
			for _, p := range f.procs {
				p.check()
			}
			f.src.releaseAll()
			for i, p := range f.procs {
				if err := p.m.Close(); err != nil {
					t.Errorf("Close of process %d: %v", i, err)
				}
				p.check()
			}
			time.Sleep(time.Minute) // calls of the store that were given up
		}()
		test(t, f)
	})
}

// slowly mints a token as a source would that takes 50 ms.
func (f *fleet) slowly(c *sourceCall) (roomtoken.Grant, error) {
	select {
	case <-time.After(50 * time.Millisecond):
		return f.src.mint(c), nil
	case <-c.ctx.Done():
		return roomtoken.Grant{}, c.ctx.Err()
	}
}

// rotate makes each refresh bring a refresh token of its own.
func (f *fleet) rotate() {
	f.src.on(func(c *sourceCall) (roomtoken.Grant, error) {
		g, err := f.slowly(c)
		if err == nil && c.kind == refresh {
			g.RefreshToken = roomtoken.Token{Value: roomtoken.NewSecret("refresh-of-" + g.Token.Value.Reveal())}
		}
		return g, err
	})
}

// start starts one more process.
func (f *fleet) start(config roomtoken.Config) *process {
	f.t.Helper()
	p := &process{world: &world{t: f.t, clk: &skewed{Mock: clock.NewMock()}, src: f.src}, store: f.store.Process()}
	p.store.IgnoreContext = f.deaf
	config.Store = p.store
	config.OnEvent = func(e roomtoken.Event) {
		p.mu.Lock()
		defer p.mu.Unlock()
		p.events = append(p.events, e)
	}
	var err error
	if p.m, err = roomtoken.NewManager(f.src, config); err != nil {
		f.t.Fatal(err)
	}
	f.procs = append(f.procs, p)
	return p
}

// rest lets what is under way end.
func (f *fleet) rest() {
	time.Sleep(2 * time.Second)
	synctest.Wait()
}

// tokens calls Token in all processes at a time and returns what they got.
func (f *fleet) tokens(room string) []string {
	f.t.Helper()
	values := make([]string, len(f.procs))
	var all sync.WaitGroup
	for i, p := range f.procs {
		all.Go(func() {
			tok, err := p.m.Token(context.Background(), room)
			if err != nil {
				f.t.Errorf("Token(%q) of process %d: %v", room, i, err)
				return
			}
			values[i] = tok.Value.Reveal()
		})
	}
	all.Wait()
	return values
}

// same checks that all processes hand out one token for the room, and returns it.
func (f *fleet) same(room string) string {
	f.t.Helper()
	values := f.tokens(room)
	for i, v := range values {
		if v != values[0] {
			f.t.Fatalf("room %q: process %d hands out %s, process 0 %s", room, i, v, values[0])
		}
	}
	return values[0]
}

// settle waits until all processes hand out one token for each room: after a renewal they
// look for the new one within a tenth of its lifetime.
func (f *fleet) settle(rooms ...string) {
	f.t.Helper()
	for _, room := range rooms {
		f.eventually(75*time.Second, "one token for "+room, func() bool {
			values := f.tokens(room)
			return !slices.ContainsFunc(values, func(v string) bool { return v != values[0] })
		})
	}
}

// calls checks which calls the source has received for a room so far.
func (f *fleet) calls(room string, wants ...roomtoken.CallKind) {
	f.t.Helper()
	if got := kindsOf(f.src.of(room)); !slices.Equal(got, wants) {
		f.t.Fatalf("calls for room %q = %v, want %v", room, got, wants)
	}
}

// eventually waits until ok, for d at most.
func (f *fleet) eventually(d time.Duration, what string, ok func() bool) {
	f.t.Helper()
	for waited := time.Duration(0); !ok(); waited += 10 * time.Millisecond {
		if waited >= d {
			f.t.Fatalf("not within %v: %s", d, what)
		}
		time.Sleep(10 * time.Millisecond)
		synctest.Wait()
	}
}

// names returns n names of rooms.
func names(n int) (rooms []string) {
	for i := range n {
		rooms = append(rooms, fmt.Sprint("room", i))
	}
	return rooms
}
