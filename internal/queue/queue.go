// Package queue is a priority queue whose items can be moved and removed: a 4-ary
// heap that takes 16 bytes per item.
package queue

// Position is where an item stands in its Queue. The zero Position is in no queue.
// The item holds it, the Queue writes it.
type Position int32

// Queued reports whether the item stands in a queue.
func (p Position) Queued() bool { return p != 0 }

// Queue orders items by key, least first. An item stands in it at most once. It is
// not safe for concurrent use.
type Queue[K ~int64, T any] struct {
	// The heap is made of chunks, so that it grows and shrinks in small steps: with a
	// million items one array takes 16 MB, and moving it takes 10 ms.
	chunks   []*chunk[K, T]
	len      int
	position func(T) *Position
}

type entry[K ~int64, T any] struct {
	key  K
	item T
}

const (
	// arity is the number of children of a node: four 16-byte entries share a cache
	// line, so that a step down costs one miss and the heap is half as deep as a
	// binary one.
	arity = 4

	// offset is the index of the root in the first chunk. It makes the children of
	// every node begin at a multiple of arity, which is the start of a cache line.
	offset = arity - 1

	// A chunk has 32 KB: from that size on the allocator hands out whole pages.
	// Smaller objects with pointers get a header of 8 bytes and are not aligned.
	chunkBits = 11
	chunkLen  = 1 << chunkBits
)

type chunk[K ~int64, T any] [chunkLen]entry[K, T]

// New returns an empty Queue. position returns where an item keeps its Position.
func New[K ~int64, T any](position func(T) *Position) *Queue[K, T] {
	return &Queue[K, T]{position: position}
}

// Len returns the number of items.
func (q *Queue[K, T]) Len() int { return q.len }

// at returns the entry at i.
func (q *Queue[K, T]) at(i int) *entry[K, T] {
	i += offset
	return &q.chunks[i>>chunkBits][i&(chunkLen-1)]
}

// Min returns the item with the least key, and that key; ok is false if the queue
// is empty.
func (q *Queue[K, T]) Min() (item T, key K, ok bool) {
	if q.len == 0 {
		return item, 0, false
	}
	root := q.at(0)
	return root.item, root.key, true
}

// Key returns the key of an item that stands in the queue.
func (q *Queue[K, T]) Key(item T) K { return q.at(int(*q.position(item)) - 1).key }

// Set puts the item into the queue under the key, or moves it there.
func (q *Queue[K, T]) Set(item T, key K) {
	p := q.position(item)
	if !p.Queued() {
		if q.len+offset >= len(q.chunks)*chunkLen {
			q.chunks = append(q.chunks, new(chunk[K, T]))
		}
		q.len++
		q.up(q.len-1, entry[K, T]{key, item})
		return
	}
	q.reset(int(*p)-1, entry[K, T]{key, item})
}

// Remove takes the item out of the queue, if it is in there.
func (q *Queue[K, T]) Remove(item T) {
	p := q.position(item)
	if !p.Queued() {
		return
	}
	i := int(*p) - 1
	*p = 0
	q.len--
	last := q.at(q.len)
	moved := *last
	*last = entry[K, T]{} // release the item
	if i < q.len {
		q.reset(i, moved)
	}
	// One spare chunk is kept, so that an item that comes and goes does not allocate.
	if needed := (q.len + offset + chunkLen - 1) / chunkLen; needed+1 < len(q.chunks) {
		q.chunks[needed+1] = nil
		q.chunks = q.chunks[:needed+1]
	}
}

// All calls yield with every item and its key, in no order, until it returns
// false. The queue must not change meanwhile.
func (q *Queue[K, T]) All(yield func(item T, key K) bool) {
	for i := range q.len {
		if e := q.at(i); !yield(e.item, e.key) {
			return
		}
	}
}

// reset replaces the entry at i by e, and moves e to where it belongs.
func (q *Queue[K, T]) reset(i int, e entry[K, T]) {
	if e.key < q.at(i).key {
		q.up(i, e)
	} else {
		q.down(i, e)
	}
}

// up puts e at i, and moves it towards the root until its parent is not greater.
func (q *Queue[K, T]) up(i int, e entry[K, T]) {
	for i > 0 {
		parent := q.at((i - 1) / arity)
		if parent.key <= e.key {
			break
		}
		q.place(i, *parent)
		i = (i - 1) / arity
	}
	q.place(i, e)
}

// down puts e at i, and moves it towards the leaves until no child is less.
func (q *Queue[K, T]) down(i int, e entry[K, T]) {
	for {
		first := i*arity + 1
		if first >= q.len {
			break
		}
		at := first + offset // all children are in one chunk
		children := q.chunks[at>>chunkBits][at&(chunkLen-1):][:min(arity, q.len-first)]
		least := 0
		for c := range children {
			if children[c].key < children[least].key {
				least = c
			}
		}
		if e.key <= children[least].key {
			break
		}
		q.place(i, children[least])
		i = first + least
	}
	q.place(i, e)
}

// place writes e at i and updates its item's Position.
func (q *Queue[K, T]) place(i int, e entry[K, T]) {
	*q.at(i) = e
	*q.position(e.item) = Position(i + 1)
}
