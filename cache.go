package roomtoken

import (
	"hash/maphash"
	"sync/atomic"
)

// cache holds the rooms in memory, by ID: a hash table for many readers and one
// writer at a time. A reader takes no lock and writes nothing.
//
// It is made of tables, which a directory finds by the top bits of a key's hash
// (extendible hashing). A full table is replaced by a larger one, and from splitAt
// records on by two, so that an insert waits while a few records are moved, not all.
type cache struct {
	seed      maphash.Seed
	directory atomic.Pointer[directory]
}

// splitAt is the number of records from which on a full table is split.
const splitAt = 4000

// directory has an entry for each value of the top bits of a hash. Tables that go by
// fewer bits have several entries in a row. A directory never changes: another one
// takes its place whenever a table is replaced.
type directory struct {
	depth   uint // how many bits; 1 at least
	entries []directoryEntry
}

type directoryEntry struct {
	buckets []bucket // of the table; so that a hit does not read the table as well
	table   *table
}

func newCache() *cache {
	c := &cache{seed: maphash.MakeSeed()}
	_ = c.clear()
	return c
}

// hashOf returns the hash of the record's key.
func (c *cache) hashOf(r *record) uint64 {
	if r.id[0] == 0 {
		return maphash.String(c.seed, *r.owner.longID)
	}
	return maphash.Bytes(c.seed, r.shortID())
}

// get returns the record of a room, nil if there is none. It is safe for concurrent
// use, also with a writer.
func (c *cache) get(key string) *record {
	hash := maphash.String(c.seed, key)
	e := c.directory.Load().at(hash)
	// Most records are the first in their home bucket with their tag. To look there
	// before find does its loops is faster.
	b := &e.buckets[home(hash, len(e.buckets))]
	if set := slotsWith(b.meta.Load(), tagOf(hash)); set != 0 {
		if r := b.records[firstSlot(set)].Load(); r != nil && r.is(key) {
			return r
		}
	}
	_, _, r := e.table.find(hash, func(r *record) bool { return r.is(key) })
	return r
}

// put stores a room's record and replaces an earlier one. Only one goroutine at a
// time may call put, remove or clear.
func (c *cache) put(r *record) {
	hash := c.hashOf(r)
	t := c.directory.Load().at(hash).table
	if bucket, slot, old := t.find(hash, r.sameRoom); old != nil {
		t.buckets[bucket].records[slot].Store(r)
		return
	}
	for t.full() {
		t = c.rebuild(hash)
	}
	t.insert(hash, r)
}

// remove deletes a record.
func (c *cache) remove(r *record) {
	hash := c.hashOf(r)
	t := c.directory.Load().at(hash).table
	if t.remove(hash, r) && t.sparse() {
		c.rebuild(hash)
	}
}

// rebuild replaces the table for a hash by one, or two, of the size that its records
// need, and returns the one for that hash. Readers finish in the old table.
func (c *cache) rebuild(hash uint64) *table {
	d := c.directory.Load()
	old := d.at(hash).table
	records := make([]hashed, 0, old.live)
	for i := range old.slots() {
		if r := old.slot(i).Load(); r != nil {
			records = append(records, hashed{record: r})
		}
	}
	// Most records have to be fetched from memory. A loop that does nothing else has many
	// fetches under way at a time, which halves the time of a rebuild.
	for i, h := range records {
		records[i].hash = uint64(h.record.id[0] + h.record.id[maxShortID-1])
	}
	for i, h := range records {
		records[i].hash = c.hashOf(h.record)
	}
	if len(records) < splitAt {
		d = d.clone(d.depth)
		d.set(hash, newTable(old.depth, records))
	} else {
		d = d.clone(max(d.depth, old.depth+1))
		bit := uint64(1) << (63 - old.depth)
		low, high := split(records, bit)
		d.set(hash&^bit, newTable(old.depth+1, low))
		d.set(hash|bit, newTable(old.depth+1, high))
	}
	c.directory.Store(d)
	return d.at(hash).table
}

// clear removes all records, and returns another cache that holds them.
func (c *cache) clear() *cache {
	was := &cache{seed: c.seed}
	empty := newDirectory(1)
	empty.set(0, noRooms)
	was.directory.Store(c.directory.Swap(empty))
	return was
}

func newDirectory(depth uint) *directory {
	return &directory{depth: depth, entries: make([]directoryEntry, 1<<depth)}
}

// at returns the entry for a hash.
func (d *directory) at(hash uint64) *directoryEntry {
	return &d.entries[hash>>((64-d.depth)&63)] // & 63 spares the code for longer shifts
}

// set makes t the table for a hash, and for all hashes whose top t.depth bits are the
// same.
func (d *directory) set(hash uint64, t *table) {
	more := d.depth - t.depth
	first := hash >> (64 - t.depth) << more
	for i := range uint64(1) << more {
		d.entries[first+i] = directoryEntry{t.buckets, t}
	}
}

// clone returns a directory with the same tables, by as many bits or more.
func (d *directory) clone(depth uint) *directory {
	next := newDirectory(depth)
	for i := range next.entries {
		next.entries[i] = d.entries[i>>(depth-d.depth)]
	}
	return next
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
	table *table // as it was when the walk reached it
	slot  int
	hash  uint64 // the first one of table
	from  uint64 // the first hash of the next table; 0: there is none
}

func (c *cache) cursor() *cursor {
	at := &cursor{cache: c}
	at.enter()
	return at
}

// position is where a cursor was. It keeps nothing in memory.
type position struct {
	hash uint64
	slot int
}

// position returns where the cursor is, for cursorAt.
func (c *cursor) position() position { return position{c.hash, c.slot} }

// cursorAt returns a cursor that goes on from there, about: tables may have been replaced.
func (c *cache) cursorAt(p position) *cursor {
	at := &cursor{cache: c, from: p.hash}
	at.enter()
	at.slot = p.slot
	return at
}

// enter begins with the next table. Tables are split but never joined, so a table
// begins where the one before it ended, whatever has happened meanwhile.
func (c *cursor) enter() {
	c.table, c.slot, c.hash = c.cache.directory.Load().at(c.from).table, 0, c.from
	below := 64 - c.table.depth // number of bits that differ in the table
	c.from = (c.from>>below + 1) << below
}

// next returns the next record, nil at the end.
func (c *cursor) next() *record {
	for {
		for c.slot < c.table.slots() {
			r := c.table.slot(c.slot).Load()
			c.slot++
			if r != nil {
				return r
			}
		}
		if c.from == 0 {
			return nil
		}
		c.enter()
	}
}
