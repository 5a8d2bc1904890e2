// Package queue is a priority queue whose items can be moved and removed: a 4-ary
// heap of 16 bytes an item.
package queue

// Position is where an item stands in its Queue. The zero Position is nowhere.
// The item holds it, the Queue writes it.
type Position int32

// Queued reports whether the item stands in a queue.
func (p Position) Queued() bool { return p != 0 }

// Queue orders items by key, least first. It is not safe for concurrent use.
// An item stands in it at most once.
type Queue[T any] struct {
	// The heap, in chunks, so that it grows and shrinks by a little at a time: with a
	// million items one array takes 16 MB, and to move it 10 ms.
	chunks   []*chunk[T]
	len      int
	position func(T) *Position
}

type entry[T any] struct {
	key  int64
	item T
}

const (
	// arity is the number of children of a node: four 16-byte entries share a cache
	// line, so that a step down costs one miss and the heap is half as deep as a
	// binary one.
	arity = 4

	// offset is where in the first chunk the root is, so that the children of every
	// node begin at a multiple of arity, which is the beginning of a cache line.
	offset = arity - 1

	// A chunk has 32 KB: from there on the allocator gives whole pages. What is
	// smaller and has pointers gets a header of 8 bytes, and is not aligned.
	chunkBits = 11
	chunkLen  = 1 << chunkBits
)

type chunk[T any] [chunkLen]entry[T]

// New returns an empty Queue; position tells where an item keeps its Position.
func New[T any](position func(T) *Position) *Queue[T] {
	return &Queue[T]{position: position}
}

// Len returns the number of items.
func (q *Queue[T]) Len() int { return q.len }

// at returns the entry at i.
func (q *Queue[T]) at(i int) *entry[T] {
	i += offset
	return &q.chunks[i>>chunkBits][i&(chunkLen-1)]
}

// Min returns the item with the least key and that key; ok is false if there is
// none.
func (q *Queue[T]) Min() (item T, key int64, ok bool) {
	if q.len == 0 {
		return item, 0, false
	}
	root := q.at(0)
	return root.item, root.key, true
}

// Set puts the item into the queue under the key, or moves it there.
func (q *Queue[T]) Set(item T, key int64) {
	p := q.position(item)
	if !p.Queued() {
		if q.len+offset >= len(q.chunks)*chunkLen {
			q.chunks = append(q.chunks, new(chunk[T]))
		}
		q.len++
		q.up(q.len-1, entry[T]{key, item})
		return
	}
	q.reset(int(*p)-1, entry[T]{key, item})
}

// Remove takes the item out of the queue, if it is in there.
func (q *Queue[T]) Remove(item T) {
	p := q.position(item)
	if !p.Queued() {
		return
	}
	i := int(*p) - 1
	*p = 0
	q.len--
	last := q.at(q.len)
	moved := *last
	*last = entry[T]{} // let go of the item
	if i < q.len {
		q.reset(i, moved)
	}
	// One chunk is kept, so that one item that comes and goes does not make them.
	if needed := (q.len + offset + chunkLen - 1) / chunkLen; needed+1 < len(q.chunks) {
		q.chunks[needed+1] = nil
		q.chunks = q.chunks[:needed+1]
	}
}

// All calls yield with every item and its key, in no order, until it returns
// false. The queue must not change meanwhile.
func (q *Queue[T]) All(yield func(item T, key int64) bool) {
	for i := range q.len {
		if e := q.at(i); !yield(e.item, e.key) {
			return
		}
	}
}

// reset puts e in the place of the entry at i, and moves it to where it belongs.
func (q *Queue[T]) reset(i int, e entry[T]) {
	if e.key < q.at(i).key {
		q.up(i, e)
	} else {
		q.down(i, e)
	}
}

// up puts e at i, and moves it towards the root until its parent is not greater.
func (q *Queue[T]) up(i int, e entry[T]) {
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
func (q *Queue[T]) down(i int, e entry[T]) {
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

// place writes e at i and tells its item.
func (q *Queue[T]) place(i int, e entry[T]) {
	*q.at(i) = e
	*q.position(e.item) = Position(i + 1)
}
