package roomtoken

import (
	"fmt"
	"runtime"
)

// close is Manager.Close. It takes the lock.
func (e *engine) close() error {
	e.mu.Lock()
	var rooms *cache
	if !e.closed {
		rooms = e.shutDown()
	}
	e.mu.Unlock()
	if rooms != nil {
		e.dropSecrets(rooms)
	}
	me := goroutine()
	timeout := alarm{after: e.config.CallTimeout}
	defer timeout.stop()
	for {
		e.mu.Lock()
		calls, sharing := len(e.calls), e.sharing()
		others := e.scheduling || e.forgetting || sharing || e.delivering && e.deliverer != me
		progress := e.progress.wait()
		e.mu.Unlock()
		if calls == 0 && !others {
			return nil
		}
		select {
		case <-progress:
		case <-timeout.ring(e):
			if calls == 0 && sharing {
				return fmt.Errorf("roomtoken: closed, but Config.Store has not returned within CallTimeout (%v)", timeout.after)
			}
			if calls == 0 {
				return fmt.Errorf("roomtoken: closed, but Config.OnEvent or Config.Logger has not returned within CallTimeout (%v)", timeout.after)
			}
			return fmt.Errorf("roomtoken: closed, but %d calls to the source have not returned within CallTimeout (%v)", calls, timeout.after)
		}
	}
}

// isClosed reports whether Close was called. It needs no lock.
func (e *engine) isClosed() bool {
	select {
	case <-e.closing:
		return true
	default:
		return false
	}
}

// shutDown ends everything that can be ended at once, and returns the rooms that were in
// memory.
func (e *engine) shutDown() *cache {
	e.mu.assertHeld()
	e.closed = true
	e.end(ErrClosed)
	for w := range e.watches {
		w.wake()
		w.signOff()
	}
	e.forgetting = true
	e.rooms, e.states = 0, [RoomStuck + 1]int{}
	e.walks, e.offered = walks{}, nil
	e.memo = memo{}
	e.waiting = 0
	e.emptyQueues()
	if e.share != nil {
		e.closeSharing()
	}
	return e.cache.clear()
}

// dropSecrets drops what the rooms know beyond their tokens: a Token in
// somebody's hands keeps its room alive, see record.secret. It takes the lock.
func (e *engine) dropSecrets(rooms *cache) {
	n := 0
	e.mu.Lock()
	defer e.mu.Unlock()
	for rec := range rooms.all {
		rec.owner.dropSecrets()
		if n++; n%batch == 0 {
			e.mu.Unlock()
			runtime.Gosched()
			e.mu.Lock()
		}
	}
	e.forgetting = false
	e.progress.send()
}
