package roomtoken

import (
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
)

// checkTable checks that the counts are right, that no table is overfull, and that a probe
// for each record leads to it.
func checkTable(t *testing.T, table *table, hashOf func(*record) uint64) {
	t.Helper()
	live := 0
	overflows := make([]uint64, len(table.buckets))
	for i := range table.slots() {
		r := table.slot(i).Load()
		if r == nil {
			continue
		}
		live++
		hash := hashOf(r)
		at, slot := i/bucketSlots, i%bucketSlots
		if tag := table.buckets[at].meta.Load() >> (8 * slot) & 0xff; tag != tagOf(hash) {
			t.Fatalf("slot %d has the tag %x, want %x", i, tag, tagOf(hash))
		}
		for j := home(hash, len(table.buckets)); j != at; j = table.after(j) {
			overflows[j]++
		}
	}
	if live != table.live || live > table.most || table.most >= table.slots() && table != noRooms {
		t.Fatalf("a table of %d slots, at most %d records, counts %d, has %d", table.slots(), table.most, table.live, live)
	}
	if len(table.buckets) != cap(table.buckets) {
		t.Fatalf("%d buckets in an allocation for %d", len(table.buckets), cap(table.buckets))
	}
	for i, want := range overflows {
		got := table.buckets[i].meta.Load() / anOverflow
		if got != want && got != 255 || want > 255 && got != 255 {
			t.Fatalf("bucket %d has an overflow of %d, want %d", i, got, want)
		}
	}
}

// isRecord returns a function that reports whether a record is r.
func isRecord(r *record) func(*record) bool {
	return func(other *record) bool { return other == r }
}

// slotsWith finds the slots with a tag, those and no others.
func TestSlotsWith(t *testing.T) {
	rng := rand.New(rand.NewPCG(5, 6))
	for range 100_000 {
		meta := rng.Uint64() & 0xff7f7f7f7f7f7f7f & (rng.Uint64() | rng.Uint64()) // many bits are 0
		tag := rng.Uint64() & rng.Uint64() & rng.Uint64() & 0x7f
		want := uint64(0)
		for slot := range bucketSlots {
			if meta>>(8*slot)&0xff == tag {
				want |= 0x80 << (8 * slot)
			}
		}
		if got := slotsWith(meta, tag); got != want {
			t.Fatalf("slotsWith(%x, %x) = %x, want %x", meta, tag, got, want)
		}
		for slot := range bucketSlots {
			if got := firstSlot(0x80 << (8 * slot) * 0x0101_0101_0101_0101); got != slot {
				t.Fatalf("firstSlot of the slots from %d on = %d", slot, got)
			}
		}
	}
}

// Records whose hashes collide are all found: with the same home, with the same tag, with
// the same hash; more of them than an overflow counts; also where probing passes the end of
// the table. The last bucket is the home, so it does.
func TestTableCollisions(t *testing.T) {
	for name, hashOf := range map[string]func(i int) uint64{
		"home": func(i int) uint64 { return 0xff_ffff_ff00 | uint64(i%128) },
		"tag":  func(i int) uint64 { return uint64(i*7919)<<20 | 0x55 },
		"hash": func(int) uint64 { return 1<<64 - 1 },
	} {
		t.Run(name, func(t *testing.T) {
			const n = 600
			hashes := map[*record]uint64{}
			var all []hashed
			for i := range n {
				h := hashed{hashOf(i), testRecord(fmt.Sprint(i), 0)}
				hashes[h.record] = h.hash
				all = append(all, h)
			}
			table := newTable(0, all)
			check := func(present []hashed, absent ...hashed) {
				t.Helper()
				checkTable(t, table, func(r *record) uint64 { return hashes[r] })
				for _, h := range present {
					if _, _, r := table.find(h.hash, isRecord(h.record)); r != h.record {
						t.Fatalf("record %q is not found", h.record.roomID())
					}
				}
				for _, h := range absent {
					if _, _, r := table.find(h.hash, isRecord(h.record)); r != nil {
						t.Fatalf("record %q is found, want none", h.record.roomID())
					}
				}
			}
			check(all)
			for i := 0; i < n; i += 3 {
				if !table.remove(all[i].hash, all[i].record) {
					t.Fatalf("record %d was not removed", i)
				}
				if table.remove(all[i].hash, all[i].record) {
					t.Fatalf("record %d was removed twice", i)
				}
				if i%50 == 0 {
					check(all[i+1:], all[i])
				}
			}
			for i := 0; i < n; i += 3 {
				table.insert(all[i].hash, all[i].record)
			}
			check(all)
			for i, h := range all {
				table.remove(h.hash, h.record)
				if i%50 == 0 {
					check(all[i+1:], all[:i+1]...)
				}
			}
		})
	}
}

// A probe ends although every bucket has an overflow.
func TestTableProbeEnds(t *testing.T) {
	var all []hashed
	const half = 1 << 39 // the home of hashes from here on is the second of two buckets
	for i := range 12 {
		all = append(all, hashed{uint64(i%2) * half, testRecord(fmt.Sprint(i), 0)})
	}
	table := newTable(0, all[:6])
	if len(table.buckets) != 2 {
		t.Fatalf("%d buckets, want 2", len(table.buckets))
	}
	// Eight records at home in bucket 0, of which one goes to bucket 1.
	for _, r := range all[:6] {
		table.remove(r.hash, r.record)
	}
	first, second := []*record{}, []*record{}
	for range 8 {
		r := testRecord("first", 0)
		table.insert(0, r)
		first = append(first, r)
	}
	// Bucket 1 has six free slots. A seventh record at home there goes to bucket 0, where one
	// is free again.
	table.remove(0, first[0])
	for range 7 {
		r := testRecord("second", 0)
		table.insert(half, r)
		second = append(second, r)
	}
	for i := range table.buckets {
		if table.buckets[i].meta.Load() < anOverflow {
			t.Fatalf("bucket %d has no overflow", i)
		}
	}
	for _, r := range first[1:] {
		if _, _, got := table.find(0, isRecord(r)); got != r {
			t.Error("a record is not found")
		}
	}
	for _, r := range second {
		if _, _, got := table.find(half, isRecord(r)); got != r {
			t.Error("a record is not found")
		}
	}
	for _, hash := range []uint64{0, half} {
		if _, _, r := table.find(hash, func(*record) bool { return false }); r != nil {
			t.Error("an absent record is found")
		}
	}
}

// Readers find a record that stays while the slots around it are taken and freed, by
// records with its tag and others.
func TestTableReadersBesideReuse(t *testing.T) {
	var staying []hashed
	for i := range 20 {
		staying = append(staying, hashed{uint64(i % 3), testRecord(fmt.Sprint("stays-", i), 0)})
	}
	table := newTable(0, staying)
	var stop atomic.Bool
	var readers sync.WaitGroup
	for range 2 {
		readers.Go(func() {
			for !stop.Load() {
				for _, h := range staying {
					if _, _, r := table.find(h.hash, h.record.sameRoom); r != h.record {
						t.Errorf("find(%q) = %v, want its record", h.record.roomID(), r)
						return
					}
				}
			}
		})
	}
	rng := rand.New(rand.NewPCG(7, 8))
	var coming []hashed
	for n := range 100_000 {
		if i := rng.IntN(4); i < len(coming) {
			table.remove(coming[i].hash, coming[i].record)
			coming[i] = coming[len(coming)-1]
			coming = coming[:len(coming)-1]
		} else if !table.full() {
			h := hashed{uint64(rng.IntN(4)), testRecord(fmt.Sprint("comes-", n), 0)}
			table.insert(h.hash, h.record)
			coming = append(coming, h)
		}
	}
	stop.Store(true)
	readers.Wait()
}
