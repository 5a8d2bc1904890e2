package roomtoken

import "context"

// demand is who wants a room's token: the callers who wait for it, and the watches.
// The engine's lock guards it.
type demand struct {
	room     *room    // Forget replaces it
	waiters  *waiters // the present cohort; nil: nobody waits
	watchers int
	changed  broadcast       // wakes the watches
	ctx      context.Context //nolint:containedctx // of who came first: its values go into the call
}

// empty reports whether nobody wants the token.
func (d *demand) empty() bool { return d.waiters == nil && d.watchers == 0 }

// release ends the wait of all who wait, with a token or an error. With neither
// they start over.
func (d *demand) release(token *record, err error) {
	if d.waiters != nil {
		d.waiters.release(token, err)
		d.waiters, d.ctx = nil, nil
	}
}

// wake makes all who wait and all watches look at the room again.
func (d *demand) wake() {
	if d.waiters != nil {
		d.waiters = d.waiters.renew()
	}
	d.changed.send()
}

// waiters is a cohort: the callers who wait for the same outcome. It is released
// once, and its result is written before done is closed and never after: so ten
// thousand callers who are served at once need no lock to learn of it.
type waiters struct {
	count   int // guarded by the engine's lock, like the other counts
	warming int // of count: calls of Warm, which let others go first
	forced  int // of count: callers whom the present token, though valid, does not serve

	orphaned bool // their room was forgotten during its call: the call serves them, the cache does not

	done chan struct{} // closed by release and renew

	// The result. A released cohort with none of the three starts over.
	token *record
	err   error
	next  *waiters // all were moved there, to look at the room again

	servedBy uint64 // the number of the call that brought token
}

func newWaiters() *waiters { return &waiters{done: make(chan struct{})} }

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
	close(k.done)
}

// renew moves all of them to a new cohort, and wakes them to look at the room again.
func (k *waiters) renew() *waiters {
	next := newWaiters()
	next.count, next.warming, next.forced = k.count, k.warming, k.forced
	k.next = next
	close(k.done)
	return next
}

// latest returns the cohort to which the members of k belong by now. It needs no
// lock.
func (k *waiters) latest() *waiters {
	for k.released() && k.next != nil {
		k = k.next
	}
	return k
}
