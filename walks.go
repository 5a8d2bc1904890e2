package roomtoken

import "github.com/roomtoken/roomtoken/internal/monotime"

// walks are the walks over all rooms that are under way, a batch at a time; nil: there
// is none.
type walks struct {
	replanning *cursor // plans all rooms anew after a jump of the wall clock
	reviewing  *cursor // does so while rooms stand in line for long, or calls come back
	telling    *cursor // wakes all watches
	waking     *cursor // wakes cohorts of whom one leaves before engine.wakeUntil
	resetting  *cursor // tries all rooms now, by engine.reset
}

// walking reports whether a walk is under way.
func (w *walks) walking() bool { return *w != (walks{}) }

// walkOn does a batch of each walk.
func (e *engine) walkOn(now monotime.Reading) {
	e.walk(&e.replanning, func(r *room) {
		e.settle(r, now)
		r.wakeWatches()
	})
	e.walk(&e.reviewing, func(r *room) { e.settle(r, now) })
	e.walk(&e.telling, (*room).wakeWatches)
	e.walk(&e.waking, func(r *room) { e.wakeBefore(r, e.wakeUntil) })
	e.walk(&e.resetting, func(r *room) { e.resetRoom(r, now) })
}

// walk does a batch of a walk, if there is one.
func (e *engine) walk(c **cursor, visit func(*room)) {
	if *c == nil {
		return
	}
	for range batch {
		rec := (*c).next()
		if rec == nil {
			*c = nil
			return
		}
		if r := rec.owner; r.life != dropped {
			visit(r)
		}
	}
}
