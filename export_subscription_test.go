package roomtoken

import "fmt"

// CheckWatches returns what is wrong with the bookkeeping of watches, of which there must
// be n that rooms count.
func (m *Manager) CheckWatches(n int) (faults []string) {
	e := m.engine
	e.mu.Lock()
	defer e.mu.Unlock()
	if len(e.watches) != n {
		faults = append(faults, fmt.Sprintf("%d watches, want %d", len(e.watches), n))
	}
	counted := 0
	for rec := range e.cache.all {
		d := rec.owner.demand()
		if d == nil {
			continue
		}
		counted += len(d.watches)
		for i, w := range d.watches {
			if w.demand != d || w.position != i {
				faults = append(faults, fmt.Sprintf("watch %d: position %d, of this room: %v", i, w.position, w.demand == d))
			}
		}
	}
	if counted != n {
		faults = append(faults, fmt.Sprintf("the rooms count %d watches, want %d", counted, n))
	}
	return faults
}

// HasTimer reports whether a timer is to wake the consumer.
func (s *Subscription) HasTimer() bool {
	s.watch.engine.mu.Lock()
	defer s.watch.engine.mu.Unlock()
	return s.watch.timer != nil
}
