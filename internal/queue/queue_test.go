package queue

import (
	"math/rand/v2"
	"sort"
	"testing"
	"unsafe"
)

type item struct {
	key int64
	at  Position
}

func newQueue() *Queue[int64, *item] {
	return New[int64](func(i *item) *Position { return &i.at })
}

// check walks the heap: every entry knows its place and no child is less than
// its parent.
func check(t *testing.T, q *Queue[int64, *item]) {
	t.Helper()
	for i := range q.len {
		e := q.at(i)
		if int(e.item.at) != i+1 {
			t.Fatalf("entry %d believes it stands at %d", i, e.item.at-1)
		}
		if parent := (i - 1) / arity; i > 0 && q.at(parent).key > e.key {
			t.Fatalf("entry %d (key %d) is less than its parent (key %d)", i, e.key, q.at(parent).key)
		}
	}
	for i := q.len; i+offset < len(q.chunks)*chunkLen; i++ {
		if *q.at(i) != (entry[int64, *item]{}) {
			t.Fatalf("entry %d of %d was not released", i, q.len)
		}
	}
	if spare := len(q.chunks) - (q.len+offset+chunkLen-1)/chunkLen; spare < 0 || spare > 1 {
		t.Fatalf("%d chunks for %d items", len(q.chunks), q.len)
	}
}

func TestEmpty(t *testing.T) {
	q := newQueue()
	if _, _, ok := q.Min(); ok || q.Len() != 0 {
		t.Fatal("a new queue is not empty")
	}
	q.Remove(&item{}) // an item that is nowhere
	if q.Len() != 0 {
		t.Fatal("removing a stranger changed the queue")
	}
}

// TestAgainstModel does twenty thousand random operations and compares with a map.
func TestAgainstModel(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	q := newQueue()
	model := map[*item]bool{}
	items := make([]*item, 2000)
	for i := range items {
		items[i] = &item{}
	}
	for range 20_000 {
		it := items[rng.IntN(len(items))]
		if rng.IntN(3) == 0 {
			q.Remove(it)
			delete(model, it)
		} else {
			it.key = rng.Int64N(100)
			q.Set(it, it.key)
			model[it] = true
		}
		check(t, q)
		if q.Len() != len(model) {
			t.Fatalf("Len is %d, want %d", q.Len(), len(model))
		}
		if it.at.Queued() != model[it] {
			t.Fatalf("Queued is %v, want %v", it.at.Queued(), model[it])
		}
		if model[it] && q.at(int(it.at)-1).key != it.key {
			t.Fatalf("Key is %d, want %d", q.at(int(it.at)-1).key, it.key)
		}
	}
	seen := 0
	for it, key := range q.All {
		if !model[it] || key != it.key {
			t.Fatalf("All yields a stranger or a wrong key: %v %d", it, key)
		}
		seen++
	}
	if seen != len(model) {
		t.Fatalf("All yields %d items, want %d", seen, len(model))
	}
	var got, want []int64
	for it := range model {
		want = append(want, it.key)
	}
	for q.Len() > 0 {
		it, key, _ := q.Min()
		q.Remove(it)
		got = append(got, key)
	}
	if !sort.SliceIsSorted(got, func(i, j int) bool { return got[i] < got[j] }) || len(got) != len(want) {
		t.Fatalf("the queue drains out of order: %v", got)
	}
}

// The children of a node share a cache line, or a step down costs two.
func TestChildrenShareACacheLine(t *testing.T) {
	if unsafe.Sizeof(entry[int64, *item]{}) != 16 {
		t.Skip("pointers are shorter here")
	}
	q := newQueue()
	items := make([]item, 3*chunkLen)
	for i := range items {
		q.Set(&items[i], int64(i))
	}
	for i := 1; i < q.len; i += arity {
		if at := uintptr(unsafe.Pointer(q.at(i))); at%64 != 0 {
			t.Fatalf("entry %d, a first child, is at %#x", i, at)
		}
	}
}

func TestGivesMemoryBack(t *testing.T) {
	q := newQueue()
	items := make([]item, 100_000)
	for i := range items {
		q.Set(&items[i], int64(i))
	}
	for i := range items[:99_900] {
		q.Remove(&items[i])
	}
	check(t, q) // counts the chunks
}

func BenchmarkSetRemove(b *testing.B) {
	q := newQueue()
	items := make([]item, 1_000_000)
	for i := range items {
		q.Set(&items[i], rand.Int64N(1<<40))
	}
	b.ResetTimer()
	for b.Loop() {
		it, key, _ := q.Min()
		q.Set(it, key+rand.Int64N(1<<40))
	}
}
