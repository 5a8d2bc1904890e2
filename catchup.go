package roomtoken

// catchUp looks the rooms in memory up again after news was missed, as many as are looked up
// in the time between two looks at the news: their tokens may have been replaced. It takes
// the lock.
func (e *engine) catchUp() {
	began := e.clock.Now().Mono
	for e.clock.Now().Mono.Sub(began) < newsEvery {
		roomIDs, more := e.toCatchUp()
		if len(roomIDs) > 0 {
			l := e.startLoad(e.life, roomIDs)
			if l != nil {
				l.again = true
				<-l.done
			}
			if l == nil || l.err != nil {
				e.missNews()
				return
			}
			e.adoptLoaded(l)
		}
		if !more {
			return
		}
	}
}

// missNews begins to catch up anew. It takes the lock.
func (e *engine) missNews() {
	e.mu.Lock()
	defer e.mu.Unlock()
	if !e.closed {
		e.share.missed = e.cache.cursor()
	}
}

// toCatchUp returns the next rooms to be looked up again. It takes the lock.
func (e *engine) toCatchUp() (roomIDs []string, more bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	s := e.share
	for s.missed != nil && len(roomIDs) < MaxLoad {
		rec := s.missed.next()
		if rec == nil || e.closed {
			s.missed = nil
			break
		}
		if rec.text != "" {
			roomIDs = append(roomIDs, rec.roomID())
		}
	}
	return roomIDs, s.missed != nil
}
