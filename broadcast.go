package roomtoken

// broadcast wakes everybody who waits for the next change of something. The zero
// broadcast is ready to use. The engine's lock guards it.
type broadcast struct{ next chan struct{} }

// wait returns a channel that the next send closes.
func (b *broadcast) wait() <-chan struct{} {
	if b.next == nil {
		b.next = make(chan struct{})
	}
	return b.next
}

// send wakes everybody who waits.
func (b *broadcast) send() {
	if b.next != nil {
		close(b.next)
		b.next = nil
	}
}
