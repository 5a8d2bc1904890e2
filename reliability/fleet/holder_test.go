package fleet_test

import (
	"net/http"
	"syscall"
	"testing"
	"time"
)

// short sets how long a call may take, and the store; a lease lasts for their sum, twice the
// latter.
func (f *fleet) short() (lease time.Duration) {
	f.settings.CallTimeout, f.settings.StoreTimeout = 6*time.Second, time.Second
	return f.settings.CallTimeout + 2*f.settings.StoreTimeout
}

// late is how much later than promised a busy machine may be.
const late = 4 * time.Second

// A process that is killed inside its source call delays the room by the rest of its lease,
// and those by nothing that have a token.
func TestKilledInsideACall(t *testing.T) {
	t.Parallel()
	f := newFleet(t, time.Minute, startRedis(t).addr)
	lease := f.short()
	f.startAll(3)
	warm := rooms(20)
	f.same(warm...)
	f.issuer.hold("a")
	holder := f.workers[0]
	holder.ask("a")
	f.issuer.await(t, "a", 1)
	holder.end()
	f.issuer.pass("a")()
	f.workers = f.workers[1:]

	began := time.Now()
	waiting := f.workers[0].ask("a")
	for i := range 20 {
		for _, got := range call[[]answer](f.workers[i%2], "Tokens", Ask{Rooms: warm}) {
			if got.Err != "" || got.Took > late {
				t.Errorf("a room with a token: it took %v: %s", got.Took, got.Err)
			}
		}
	}
	f.workers[0].served(waiting, "a")
	if took := time.Since(began); took > lease+time.Second+late {
		t.Errorf("the room was delayed by %v, want the rest of a lease of %v and at most a second", took, lease)
	}
	f.same("a")
	if creates, _ := f.issuer.calls("a"); creates != 2 {
		t.Errorf("%d creates, want that of the dead process and one more", creates)
	}
}

// A process that is stopped inside its source call for longer than its lease does not replace
// what another has published meanwhile: it adopts that.
func TestStoppedForLongerThanTheLease(t *testing.T) {
	t.Parallel()
	for name, stolid := range map[string]bool{"the call ends in time": false, "the call brings a token": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newFleet(t, time.Minute, startRedis(t).addr)
			lease := f.short()
			f.settings.Stolid = stolid
			f.startAll(2)
			stopped, other := f.workers[0], f.workers[1]
			f.issuer.hold("a")
			first := stopped.ask("a")
			f.issuer.await(t, "a", 1)
			stopped.signal(syscall.SIGSTOP)
			release := f.issuer.pass("a")
			began := time.Now()
			published := other.tokens("a")[0]
			if took := time.Since(began); took > lease+time.Second+late {
				t.Errorf("the room was delayed by %v, want a lease of %v and at most a second", took, lease)
			}
			release()
			time.Sleep(100 * time.Millisecond)
			stopped.signal(syscall.SIGCONT)
			stopped.served(first, "a")
			f.eventually("it adopts the token of the other", func() bool { return stopped.tokens("a")[0] == published })
			if got := f.same("a")[0]; got != published {
				t.Errorf("all have %q, want %q, which was published first", got, published)
			}
			if creates, _ := f.issuer.calls("a"); creates != 2 {
				t.Errorf("%d creates, want one of each", creates)
			}
			if n := stopped.stats().LeasesLost; stolid && n != 1 {
				t.Errorf("LeasesLost = %d", n)
			}
		})
	}
}

// A token that was refused while a process was stopped does not come back through that
// process: not even if its call brings the same token.
func TestARefusedTokenDoesNotComeBack(t *testing.T) {
	t.Parallel()
	f := newFleet(t, time.Hour, startRedis(t).addr)
	f.short()
	f.settings.Stolid = true
	f.startAll(2)
	stopped, other := f.workers[0], f.workers[1]
	f.issuer.hold("a")
	first := stopped.ask("a")
	f.issuer.await(t, "a", 1)
	stopped.signal(syscall.SIGSTOP)
	release := f.issuer.pass("a")
	refused := other.tokens("a")[0]
	f.issuer.refuseWith(func(string) (int, time.Duration) { return http.StatusInternalServerError, 0 })
	call[[]answer](other, "Invalidate", Refusal{Room: "a", Token: refused})
	f.issuer.repeat("a", refused)
	release()
	time.Sleep(time.Second) // the news has it
	stopped.signal(syscall.SIGCONT)
	time.Sleep(2 * time.Second) // its commit is there
	f.issuer.repeat("a", "")
	f.issuer.refuseWith(nil)
	f.start()
	for i, tokens := range f.allTokens("a") {
		if tokens[0] == refused {
			t.Errorf("worker %d hands out the token that was refused", i)
		}
	}
	first.wait() // it may have had the token before it knew
}

// A process that is stopped inside a refresh has spent the room's refresh token. Who has a
// token that is valid is delayed by nothing, and all have one token again after the renewal.
func TestStoppedInsideARefresh(t *testing.T) {
	t.Parallel()
	f := newFleet(t, 24*time.Second, startRedis(t).addr)
	f.short()
	f.startAll(3)
	before := f.same("a")
	f.issuer.hold("a")
	f.issuer.await(t, "a", 2)
	var stopped *process
	for _, p := range f.workers {
		if p.stats().Refreshes > 0 {
			stopped = p
		}
	}
	stopped.signal(syscall.SIGSTOP)
	f.issuer.pass("a")() // the answer finds nobody
	var others []*process
	for _, p := range f.workers {
		if p != stopped {
			others = append(others, p)
			call[struct{}](p, "Traffic", Customers{Name: p.name, Rooms: []string{"a"}})
		}
	}
	f.workers = others
	after := f.converge(before, "a")
	stopped.signal(syscall.SIGCONT)
	f.workers = append(others, stopped)
	f.converge(before, "a")
	if got := f.same("a")[0]; got != after[0] {
		t.Errorf("all have %q, want %q, which was published first", got, after[0])
	}
	for _, p := range others {
		p.quiet()
	}
}

// Close inside a source call gives the lease back: others go on within a second.
func TestCloseInsideACall(t *testing.T) {
	t.Parallel()
	f := newFleet(t, time.Minute, startRedis(t).addr)
	f.settings.CallTimeout = 30 * time.Second
	f.startAll(2)
	f.issuer.hold("a")
	f.workers[0].ask("a")
	f.issuer.await(t, "a", 1)
	waiting := f.workers[1].ask("a")
	time.Sleep(time.Second) // it waits for the lease
	f.issuer.pass("a")
	began := time.Now()
	f.workers[0].close()
	f.workers[1].served(waiting, "a")
	if took := time.Since(began); took > time.Second+late {
		t.Errorf("the other process had to wait for %v, want a second at most", took)
	}
	if creates, _ := f.issuer.calls("a"); creates != 2 {
		t.Errorf("%d creates, want one of each", creates)
	}
}
