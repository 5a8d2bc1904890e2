package roomtoken

import (
	"hash/maphash"
	"sync/atomic"
)

// shardCount is a power of two. Shards grow one at a time, so that an insert waits
// while a sixty-fourth of the rooms is moved, not all of them.
const (
	shardBits  = 6
	shardCount = 1 << shardBits
)

// cache holds the rooms in memory, by ID: a hash table for many readers and one
// writer at a time. A reader takes no lock and writes nothing.
//
// Each shard is an open-addressing table with linear probing. A slot keeps the
// key's hash beside the pointer to the record, so that a probe that does not match
// costs no further cache miss. A slot's hash, once set, stays until the shard is
// rebuilt: a removed record leaves a nil pointer behind, and probing skips it.
type cache struct {
	seed   maphash.Seed
	shards [shardCount]shard
}

type shard struct {
	slots atomic.Pointer[slots]
	// Only the writer reads and writes these:
	taken int // slots with a hash, removed ones included
	live  int // slots with a record
	_     [40]byte
}

type slots struct {
	mask  uint64 // number of slots - 1, which is a power of two - 1
	array []slot
}

type slot struct {
	hash   atomic.Uint64 // 0: never used
	record atomic.Pointer[record]
}

// noSlots is the table of an empty shard: one slot, never used.
var noSlots = newSlots(1)

func newSlots(n int) *slots {
	return &slots{mask: uint64(n - 1), array: make([]slot, n)}
}

func newCache() *cache {
	c := &cache{seed: maphash.MakeSeed()}
	_ = c.clear()
	return c
}

// hash returns the key's hash, never 0. Its top bits choose the shard, its
// bottom bits the slot.
func (c *cache) hash(key string) uint64 {
	h := maphash.String(c.seed, key)
	if h == 0 {
		h = 1
	}
	return h
}

// hashOf returns the hash of the record's key.
func (c *cache) hashOf(r *record) uint64 {
	if r.id[0] == 0 {
		return c.hash(*r.owner.longID)
	}
	if h := maphash.Bytes(c.seed, r.shortID()); h != 0 {
		return h
	}
	return 1
}

// get returns the record of a room, nil if there is none. It is safe for concurrent
// use, also with a writer.
func (c *cache) get(key string) *record {
	h := c.hash(key)
	s := c.shards[h>>(64-shardBits)].slots.Load()
	for i := h; ; i++ {
		slot := &s.array[i&s.mask]
		switch slot.hash.Load() {
		case h:
			if r := slot.record.Load(); r != nil && r.is(key) {
				return r
			}
		case 0:
			return nil
		}
	}
}

// put stores a room's record and replaces an earlier one. Only one goroutine at a
// time may call put, remove or clear.
func (c *cache) put(r *record) {
	h := c.hashOf(r)
	sh := &c.shards[h>>(64-shardBits)]
	s := sh.slots.Load()
	if 4*(sh.taken+1) > 3*len(s.array) {
		s = sh.rebuild()
	}
	var free *slot // removed earlier, of the same hash
	for i := h; ; i++ {
		slot := &s.array[i&s.mask]
		switch slot.hash.Load() {
		case h:
			old := slot.record.Load()
			if old != nil && old.sameRoom(r) {
				slot.record.Store(r)
				return
			}
			if old == nil && free == nil {
				free = slot
			}
		case 0:
			if free == nil {
				free = slot
				sh.taken++
			}
			sh.live++
			free.record.Store(r) // before the hash: a reader that sees the hash finds the record
			free.hash.Store(h)
			return
		}
	}
}

// remove deletes a record.
func (c *cache) remove(r *record) {
	h := c.hashOf(r)
	sh := &c.shards[h>>(64-shardBits)]
	s := sh.slots.Load()
	for i := h; ; i++ {
		slot := &s.array[i&s.mask]
		switch slot.hash.Load() {
		case h:
			if slot.record.Load() == r {
				slot.record.Store(nil)
				sh.live--
				if 8*sh.live < len(s.array) && len(s.array) > 8 {
					sh.rebuild()
				}
				return
			}
		case 0:
			return
		}
	}
}

// rebuild moves the records of a shard to a table that they fill by half or less,
// without the slots of removed records. Readers finish in the old table.
func (sh *shard) rebuild() *slots {
	size := 4
	for size < 2*(sh.live+1) {
		size *= 2
	}
	next := newSlots(size)
	old := sh.slots.Load()
	for i := range old.array {
		r := old.array[i].record.Load()
		if r == nil {
			continue
		}
		h := old.array[i].hash.Load()
		at := h
		for next.array[at&next.mask].hash.Load() != 0 {
			at++
		}
		next.array[at&next.mask].record.Store(r)
		next.array[at&next.mask].hash.Store(h)
	}
	sh.taken = sh.live
	sh.slots.Store(next)
	return next
}

// clear removes all records, and returns the tables they were in.
func (c *cache) clear() (was []*slots) {
	for i := range c.shards {
		was = append(was, c.shards[i].slots.Swap(noSlots))
		c.shards[i].taken, c.shards[i].live = 0, 0
	}
	return was
}

// all yields every record. Records put or removed meanwhile may be missing; a room
// that stays is neither missing nor yielded twice.
func (c *cache) all(yield func(*record) bool) {
	for at := c.cursor(); ; {
		if r := at.next(); r == nil || !yield(r) {
			return
		}
	}
}

// cursor is a walk over all records that can pause.
type cursor struct {
	cache *cache
	shard int
	slots *slots // the shard's table when the walk reached it
	slot  int
}

func (c *cache) cursor() *cursor { return &cursor{cache: c, shard: -1, slots: noSlots, slot: 1} }

// next returns the next record, nil at the end.
func (c *cursor) next() *record {
	for {
		for c.slot < len(c.slots.array) {
			r := c.slots.array[c.slot].record.Load()
			c.slot++
			if r != nil {
				return r
			}
		}
		if c.shard++; c.shard == shardCount {
			return nil
		}
		c.slots, c.slot = c.cache.shards[c.shard].slots.Load(), 0
	}
}
