//go:build race

package roomtoken

import "sync"

// mutex is a sync.Mutex that can assert that it is held, in builds with the race
// detector.
type mutex struct{ sync.Mutex }

// assertHeld panics if nobody holds the mutex.
func (m *mutex) assertHeld() {
	if m.TryLock() {
		m.Unlock()
		panic("bug: the lock is not held")
	}
}
