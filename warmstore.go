package roomtoken

import (
	"context"
	"runtime"

	"github.com/roomtoken/roomtoken/internal/monotime"
)

// loadsAhead is how many Loads of a Warm are under way at a time.
const loadsAhead = 2

// load is a look-up of many rooms in the store: for Warm, or again for the rooms in memory.
type load struct {
	roomIDs []string
	again   bool // nobody asks for the rooms
	asked   monotime.Reading
	entries []Entry
	err     error
	done    chan struct{}
}

// warmFromStore makes the tokens that the store has the rooms', before the source is called
// for any of them. Where the store does not answer, the rooms are asked for one by one. It
// takes the lock.
func (e *engine) warmFromStore(ctx context.Context, roomIDs []string) {
	var missing []string
	for _, id := range roomIDs {
		if checkRoomID(id) == nil && e.hit(id, 0) == nil {
			missing = append(missing, id)
		}
	}
	if len(missing) < 2 { // asking for it brings its token, too
		return
	}
	var ahead []*load
	for len(missing) > 0 || len(ahead) > 0 {
		for len(missing) > 0 && len(ahead) < loadsAhead {
			n := min(len(missing), MaxLoad)
			l := e.startLoad(ctx, missing[:n])
			if l == nil {
				missing = nil
				break
			}
			ahead, missing = append(ahead, l), missing[n:]
		}
		if len(ahead) == 0 {
			return
		}
		l := ahead[0]
		ahead = ahead[1:]
		select {
		case <-l.done:
		case <-ctx.Done():
			return
		}
		if l.err != nil || !e.adoptLoaded(l) {
			missing = nil
		}
	}
}

// startLoad begins to look rooms up. It waits for a place, and returns nil if the store is
// down, the Manager is closed or ctx has ended. It takes the lock.
func (e *engine) startLoad(ctx context.Context, roomIDs []string) *load {
	for {
		e.mu.Lock()
		if e.closed || e.storeDown() {
			e.mu.Unlock()
			return nil
		}
		if e.share.mayAsk() {
			break
		}
		progress := e.progress.wait()
		e.mu.Unlock()
		select {
		case <-progress:
		case <-ctx.Done():
			return nil
		}
	}
	defer e.mu.Unlock()
	l := &load{roomIDs: roomIDs, asked: e.clock.Look(), done: make(chan struct{})}
	var entries []Entry
	e.callStore(&storeCall{
		do: func(ctx context.Context) (err error) {
			entries, err = e.share.store.Load(ctx, roomIDs)
			return err
		},
		answered: func(err error, _ monotime.Reading) {
			if l.err = err; err == nil {
				l.entries = entries
			}
			close(l.done)
		},
	})
	return l
}

// roomOf returns the room of an entry, created if it is asked for; nil if it is not in
// memory.
func (e *engine) roomOf(l *load, i int) (r *room, now monotime.Reading, err error) {
	if l.again {
		return e.lookUp(l.roomIDs[i]), e.clock.Now(), nil
	}
	if r, now, err = e.admit(l.roomIDs[i]); err == nil {
		r.use(now)
	}
	return r, now, err
}

// adoptLoaded makes what a Load has brought the rooms'. It reports whether there is space
// for more. It takes the lock.
func (e *engine) adoptLoaded(l *load) (more bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for i, entry := range l.entries[:min(len(l.entries), len(l.roomIDs))] {
		if i%64 == 63 { // let others have the lock
			e.mu.Unlock()
			runtime.Gosched()
			e.mu.Lock()
		}
		if entry.Record.IsZero() && entry.NotBefore <= 0 {
			continue
		}
		r, now, err := e.roomOf(l, i)
		if err != nil {
			return false
		}
		if r == nil || r.call() != nil && r.call().phase == running {
			continue
		}
		sh := e.share.of(r)
		sh.storeTime, sh.asked = entry.Now, l.asked
		if entry.Record.IsZero() {
			e.adoptFailure(r, entry, now)
		} else {
			e.adopt(r, entry.Record, now)
		}
		e.settle(r, now)
		e.wakeInVain(r, now)
	}
	return true
}
