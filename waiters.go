package roomtoken

import (
	"context"
	"math"

	"github.com/roomtoken/roomtoken/internal/monotime"
	"github.com/roomtoken/roomtoken/internal/queue"
)

// demand is who wants a room's token: the callers who wait for it, and the watches.
// The engine's lock guards it.
type demand struct {
	room    *room    // Forget replaces it
	waiters *waiters // the present cohort; nil: nobody waits
	watches watchList
	lane    queue.Position // in engine.lane
}

// empty reports whether nobody wants the token.
func (d *demand) empty() bool { return d.waiters == nil && len(d.watches) == 0 }

// ctx returns the ctx of the first of those who wait, or else watch: its values go
// into the call. It is nil if there is none.
func (d *demand) ctx() context.Context {
	switch {
	case d.waiters != nil && d.waiters.members.first != nil:
		return d.waiters.members.first.ctx
	case len(d.watches) > 0:
		return d.watches[0].ctx
	default:
		return nil
	}
}

// callers is a list of callers, first come first.
type callers struct{ first, last *caller }

// caller is one who waits. Once it has left the list, nothing here holds its ctx.
type caller struct {
	ctx        context.Context //nolint:containedctx // of this one call
	deadline   monotime.Time   // when it leaves at the latest
	prev, next *caller
}

func (l *callers) add(c *caller) {
	c.prev, c.next = l.last, nil
	if l.last != nil {
		l.last.next = c
	} else {
		l.first = c
	}
	l.last = c
}

func (l *callers) remove(c *caller) {
	if c.prev != nil {
		c.prev.next = c.next
	} else {
		l.first = c.next
	}
	if c.next != nil {
		c.next.prev = c.prev
	} else {
		l.last = c.prev
	}
	c.prev, c.next = nil, nil
}

// waiters is a cohort: the callers who wait for the same outcome. It is released
// once, and its result is written before done is closed and never after: so ten
// thousand callers who are served at once need no lock to learn of it.
type waiters struct {
	demand *demand

	members callers // guarded by the engine's lock, like all up to done
	count   int     // members
	warming int     // of count: calls of Warm, which let others go first
	forced  int     // of count: callers whom the present token, though valid, does not serve

	since    monotime.Time  // when the first of them began to wait, calls of Warm not counted
	earliest monotime.Time  // at which one of them leaves, of those who have looked
	latest   monotime.Time  // at which the last of them leaves, see until
	stale    bool           // that one has left, and latest is to be found anew
	patience queue.Position // in engine.patience, by earliest

	orphaned bool // their room was forgotten during its call: the call serves them, the cache does not

	done chan struct{} // closed by release and renew

	// The result. A released cohort with none of the three starts over.
	token *record
	err   error
	next  *waiters // all were moved there, to look at the room again

	servedBy uint64 // the number of the call that brought token
}

func newWaiters(d *demand) *waiters {
	return &waiters{demand: d, done: make(chan struct{}), since: math.MaxInt64, earliest: math.MaxInt64}
}

// released reports whether the cohort has its result. It needs no lock.
func (k *waiters) released() bool {
	select {
	case <-k.done:
		return true
	default:
		return false
	}
}

// release gives all of them their result.
func (k *waiters) release(token *record, err error) {
	k.token, k.err = token, err
	k.members = callers{}
	close(k.done)
}

// renew moves all of them to a new cohort, and wakes them to look at the room again.
func (k *waiters) renew() *waiters {
	next := newWaiters(k.demand)
	next.since = k.since
	next.members, next.count, next.warming, next.forced = k.members, k.count, k.warming, k.forced
	next.latest, next.stale = k.latest, k.stale
	k.next, k.members = next, callers{}
	close(k.done)
	return next
}

// until returns when the last of them leaves.
func (k *waiters) until() monotime.Time {
	if k.stale {
		k.latest, k.stale = 0, false
		for c := k.members.first; c != nil; c = c.next {
			k.latest = max(k.latest, c.deadline)
		}
	}
	return k.latest
}

// current returns the cohort to which the members of k belong by now. It needs no
// lock.
func (k *waiters) current() *waiters {
	for k.released() && k.next != nil {
		k = k.next
	}
	return k
}
