package roomtokentest

import "slices"

// Hold keeps calls in flight; see [Source.Hold].
type Hold struct {
	source   *Source
	rooms    []string // none: all
	released chan struct{}
}

// Hold keeps every call that begins from now on in flight, of these rooms or of
// all where none is named, until Release is called or the call's ctx ends. Of
// several holds a call waits for all that concern it.
func (s *Source) Hold(rooms ...string) *Hold {
	h := &Hold{source: s, rooms: slices.Clone(rooms), released: make(chan struct{})}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.holds = append(s.holds, h)
	return h
}

// Release lets the calls go that are held, and those to come. Further calls of
// Release do nothing.
func (h *Hold) Release() {
	s := h.source
	s.mu.Lock()
	defer s.mu.Unlock()
	if i := slices.Index(s.holds, h); i >= 0 {
		s.holds = slices.Delete(s.holds, i, i+1)
		close(h.released)
	}
}
