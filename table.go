package roomtoken

import (
	"math/bits"
	"slices"
	"sync/atomic"
)

// table is an array of buckets with linear probing: a record is in its home bucket, or,
// if that was full, in the first one after it that was not. It stays there until it is
// removed; a table that has to grow or to shrink is replaced by another.
type table struct {
	buckets []bucket

	// Only the writer uses these:
	most  int  // records that may be in it
	live  int  // records that are
	depth uint // how many top bits of their hashes are the same
}

// bucket has the size of a cache line. A slot is free if its record is nil; its tag then
// means nothing. A free slot may be taken by any record: readers compare the ID.
//
// The buckets of a table are cache lines if they take more than 32 KB, or 512 bytes and
// less. The allocator puts a header of 8 bytes before those between, so that the last slot,
// which is taken last, lies in the next line.
type bucket struct {
	// meta has the tag of slot i in byte i. Its top byte is the overflow: how many
	// records are in a later bucket because this one was full. At 0 a probe ends.
	meta    atomic.Uint64
	records [bucketSlots]atomic.Pointer[record]
}

const (
	bucketSlots = 7
	everyTag    = 0x01_01_01_01_01_01_01 // 1 in each tag
	anOverflow  = 1 << (8 * bucketSlots) // 1 in the overflow
	maxOverflow = 255 * anOverflow       // 255 or more; it stays that way
)

// noRooms is the table of an empty cache. Nothing may be put into it.
var noRooms = &table{buckets: make([]bucket, 1)}

// hashed is a record with the hash of its key.
type hashed struct {
	hash   uint64
	record *record
}

// split returns the records whose hash lacks a bit, and those whose hash has it.
func split(records []hashed, bit uint64) (without, with []hashed) {
	for _, r := range records {
		if r.hash&bit == 0 {
			without = append(without, r)
		} else {
			with = append(with, r)
		}
	}
	return without, with
}

// newTable returns a table with these records. They fill up to three quarters of it;
// the table is full at seven eighths.
func newTable(depth uint, records []hashed) *table {
	n := 4*len(records)/(3*bucketSlots) + 1
	buckets := slices.Grow([]bucket(nil), n) // n, and what the allocator would round up to
	buckets = buckets[:cap(buckets)]
	t := &table{buckets: buckets, depth: depth}
	t.most = t.slots() * 7 / 8
	for _, r := range records {
		t.insert(r.hash, r.record)
	}
	return t
}

// full reports whether the table must grow before a record is inserted.
func (t *table) full() bool { return t.live == t.most }

// sparse reports whether the table should shrink.
func (t *table) sparse() bool { return 8*t.live < 3*t.slots() && len(t.buckets) > 1 }

// slots returns the number of slots.
func (t *table) slots() int { return len(t.buckets) * bucketSlots }

// slot returns a slot by its number in the table.
func (t *table) slot(i int) *atomic.Pointer[record] {
	return &t.buckets[i/bucketSlots].records[i%bucketSlots]
}

// home returns the bucket in which a probe begins. It goes by 32 bits that are neither
// in the tag nor, with less than 2^24 tables, among those by which the directory goes.
func home(hash uint64, buckets int) int {
	return int(uint64(uint32(hash>>8)) * uint64(buckets) >> 32)
}

// after returns the bucket that is probed after bucket i.
func (t *table) after(i int) int {
	if i++; i == len(t.buckets) {
		return 0
	}
	return i
}

// tagOf returns the bits of a hash that stand beside the record. They are seven, so that
// slotsWith has a bit to spare in each byte.
func tagOf(hash uint64) uint64 { return hash & 0x7f }

// slotsWith returns the set of slots with that tag: bit 8*i+7 stands for slot i.
func slotsWith(meta, tag uint64) uint64 {
	const spare = 0x80 * everyTag
	// A spare bit survives where the difference is 0. No byte borrows from the next.
	return (spare - (meta ^ tag*everyTag)) & spare
}

// firstSlot returns the first slot of a set that is not empty.
func firstSlot(set uint64) int { return bits.TrailingZeros64(set) / 8 }

// find returns the record with that hash of which is reports true, and where it is; nil
// if there is none. It is safe for concurrent use, also with a writer.
func (t *table) find(hash uint64, is func(*record) bool) (bucket, slot int, r *record) {
	first := home(hash, len(t.buckets))
	for i := first; ; {
		b := &t.buckets[i]
		meta := b.meta.Load()
		for set := slotsWith(meta, tagOf(hash)); set != 0; set &= set - 1 {
			slot := firstSlot(set)
			if r := b.records[slot].Load(); r != nil && is(r) {
				return i, slot, r
			}
		}
		if i = t.after(i); meta < anOverflow || i == first {
			return 0, 0, nil
		}
	}
}

// insert adds the record of a room that has none in the table, which must not be full.
func (t *table) insert(hash uint64, r *record) {
	t.live++
	for i := home(hash, len(t.buckets)); ; i = t.after(i) {
		b := &t.buckets[i]
		meta := b.meta.Load()
		for slot := range b.records {
			if b.records[slot].Load() == nil {
				at := 8 * slot
				b.records[slot].Store(r)
				b.meta.Store(meta&^(0xff<<at) | tagOf(hash)<<at) // from here on readers find it
				return
			}
		}
		if meta < maxOverflow {
			b.meta.Store(meta + anOverflow)
		}
	}
}

// remove removes exactly this record, and reports whether it was there.
func (t *table) remove(hash uint64, r *record) bool {
	bucket, slot, found := t.find(hash, func(other *record) bool { return other == r })
	if found == nil {
		return false
	}
	t.live--
	t.buckets[bucket].records[slot].Store(nil)
	for i := home(hash, len(t.buckets)); i != bucket; i = t.after(i) {
		b := &t.buckets[i]
		if meta := b.meta.Load(); meta < maxOverflow {
			b.meta.Store(meta - anOverflow)
		}
	}
	return true
}
