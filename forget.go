package roomtoken

// forget is Manager.Forget. It takes the lock.
//
// A room that is watched, or has a call in flight, leaves a fresh room behind: the
// watches go on, and no second call can begin while the first runs.
func (e *engine) forget(roomID string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.memo.forget(roomID)
	e.share.forget(roomID)
	old := e.lookUp(roomID)
	if old == nil || old.life == orphaned {
		return
	}
	now := e.clock.Now()
	e.withdraw(old)
	e.report(Event{Kind: EventRoomForgotten, RoomID: roomID})
	if c := old.call(); c != nil && !c.orphaned { // the call is theirs who wait for it now
		c.orphaned = true
		if k := old.waiters(); k != nil {
			e.patience.Remove(k)
			k.orphaned = true
			c.waiters, old.demand().waiters = k, nil
		}
	}
	e.drop(old) // those who wait for something else start over
	d := old.demand()
	watched := d != nil && len(d.watches) > 0
	if old.call() == nil && !watched {
		e.dispatch(now) // what was withdrawn had a slot
		return
	}
	fresh := newRoom(roomID, now)
	fresh.rec.lastUsed.Store(old.rec.lastUsed.Load() &^ dormantMark)
	if c := old.call(); c != nil {
		c.room = fresh
		fresh.setCall(c)
	}
	if watched {
		fresh.setDemand(d)
		d.room = fresh
		d.watches.wake()
		e.rooms++
	} else {
		fresh.life = orphaned
	}
	old.setDemand(nil)
	old.setCall(nil)
	e.cache.put(fresh.rec)
	e.settle(fresh, now)
}
