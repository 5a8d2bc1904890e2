//go:build !race

package roomtoken

import "sync"

// mutex is a sync.Mutex.
type mutex struct{ sync.Mutex }

// assertHeld does nothing without the race detector, see lock_race.go.
func (*mutex) assertHeld() {}
