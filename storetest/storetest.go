package storetest

import (
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/roomtoken/roomtoken"
)

// Harness is a Store to test: a fresh one that is empty.
type Harness struct {
	// Stores are two or more values, as if in different processes, that share what they
	// hold.
	Stores []roomtoken.Store

	// Advance moves the clock of the Store. If it is nil, the tests wait until time
	// passes: some seconds in all, and up to 10 s for a heartbeat of Wake.
	Advance func(d time.Duration)

	// Tolerance is by how much the durations that the Store measures may be wrong: the
	// resolution of its clock and, without Advance, the difference to the clock of this
	// process. Defaults to 5 ms.
	Tolerance time.Duration

	// Damage makes the room's record unreadable.
	Damage func(roomID string)

	// Flush empties the Store, as if it had been started anew.
	Flush func()

	// NewsLimit is a number of rejections such that the Store forgets some if there are
	// more.
	NewsLimit int

	// ReadOnly makes the Store take no writes, and take them again. The subtest ends with a
	// call with false, also when it fails.
	ReadOnly func(on bool)
}

// hook is what a [Harness] need not have.
type hook string

const (
	hookAdvance   hook = "Advance"
	hookDamage    hook = "Damage"
	hookFlush     hook = "Flush"
	hookNewsLimit hook = "NewsLimit"
	hookReadOnly  hook = "ReadOnly"
	hookWaker     hook = "Stores that implement roomtoken.Waker"
)

// has reports whether the Harness has a hook, and "" always.
func (h Harness) has(needed hook) bool {
	switch needed {
	case hookAdvance:
		return h.Advance != nil
	case hookDamage:
		return h.Damage != nil
	case hookFlush:
		return h.Flush != nil
	case hookNewsLimit:
		return h.NewsLimit > 0
	case hookReadOnly:
		return h.ReadOnly != nil
	case hookWaker:
		_, ok := h.Stores[0].(roomtoken.Waker)
		return ok
	default:
		return true
	}
}

// check tests one sentence of the documentation of [roomtoken.Store].
type check struct {
	of       string // what is documented: Store, one of its methods, or Wake
	sentence string // in the words of the documentation; it names the subtest
	needs    hook
	run      func(s *suite)
}

// checks returns all checks, in the order of the documentation.
func checks() []check {
	return slices.Concat(storeChecks, loadChecks, acquireChecks, commitChecks, rejectChecks, holdChecks, newsChecks, wakeChecks)
}

// Run tests a Store. It calls harness once for each subtest, and for nothing else. The
// Store may be used until the subtest ends.
func Run(t *testing.T, harness func(t *testing.T) Harness) {
	runAll(t, harness, func(t *testing.T, f func(t *testing.T)) { f(t) })
}

// RunInBubbles is Run with each subtest in a [testing/synctest] bubble of its own, for
// Stores that work there. With [time.Sleep] as Harness.Advance no time passes in reality.
func RunInBubbles(t *testing.T, harness func(t *testing.T) Harness) {
	runAll(t, harness, synctest.Test)
}

func runAll(t *testing.T, harness func(t *testing.T) Harness, run func(t *testing.T, f func(t *testing.T))) {
	t.Helper()
	for _, c := range checks() {
		t.Run(c.of+"/"+c.sentence, func(t *testing.T) {
			skip := false
			run(t, func(t *testing.T) {
				h := harness(t)
				if len(h.Stores) < 2 {
					t.Fatalf("storetest: Harness.Stores has %d Stores, want 2 or more", len(h.Stores))
				}
				if skip = !h.has(c.needs); !skip {
					c.test(t.Context(), t, h)
				}
			})
			if skip { // here, because a bubble does not pass it on
				t.Skipf("storetest: this needs Harness.%s", c.needs)
			}
		})
	}
}
