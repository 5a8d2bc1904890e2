package roomtokentest

import "slices"

// Hold keeps calls in flight; see [Source.Hold]. Its methods are safe for
// concurrent use.
type Hold struct {
	source   *Source
	rooms    []string // empty: all rooms
	released chan struct{}
}

// Hold keeps calls that begin from now on in flight until Release is called or the
// call's ctx ends. It applies to the given rooms, or to all rooms if none are given.
// A call waits for every hold that applies to it.
func (s *Source) Hold(rooms ...string) *Hold {
	h := &Hold{source: s, rooms: slices.Clone(rooms), released: make(chan struct{})}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.holds = append(s.holds, h)
	return h
}

// Release ends the hold: held calls continue and new ones are no longer held. Calling
// it again does nothing.
func (h *Hold) Release() {
	s := h.source
	s.mu.Lock()
	defer s.mu.Unlock()
	if i := slices.Index(s.holds, h); i >= 0 {
		s.holds = slices.Delete(s.holds, i, i+1)
		close(h.released)
	}
}
