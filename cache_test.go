package roomtoken

import (
	"fmt"
	"math/rand/v2"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"unsafe"

	"github.com/roomtoken/roomtoken/internal/monotime"
)

// A record has 96 bytes, a size class of the allocator, so that it spans two cache
// lines, not three. A room has 80, another size class.
func TestRecordFillsTwoCacheLines(t *testing.T) {
	want := [2]uintptr{96, 80}
	if unsafe.Sizeof(uintptr(0)) != 8 {
		want = [2]uintptr{RecordSize, RoomSize} // pointers are shorter here
	}
	if got := [2]uintptr{RecordSize, RoomSize}; got != want {
		t.Fatalf("sizes of a record and a room = %d, want %d", got, want)
	}
	if size := unsafe.Sizeof(bucket{}); size != 64 && unsafe.Sizeof(uintptr(0)) == 8 {
		t.Errorf("size of a bucket = %d, want 64, a cache line", size)
	}
}

// tables yields the tables, with the first hash of each.
func (c *cache) tables(yield func(uint64, *table) bool) {
	d := c.directory.Load()
	for i := 0; i < len(d.entries); {
		t := d.entries[i].table
		if !yield(uint64(i)<<(64-d.depth), t) {
			return
		}
		i += 1 << (d.depth - t.depth)
	}
}

// len returns the number of records, as the tables have counted them.
func (c *cache) len() (n int) {
	for _, t := range c.tables {
		n += t.live
	}
	return n
}

// slots returns the number of slots.
func (c *cache) slots() (n int) {
	for _, t := range c.tables {
		n += t.slots()
	}
	return n
}

// checkCache checks that the directory is right, that no table is overfull, and that every
// record is where a probe finds it.
func checkCache(t *testing.T, c *cache) {
	t.Helper()
	d := c.directory.Load()
	if len(d.entries) != 1<<d.depth {
		t.Fatalf("%d entries in a directory of depth %d", len(d.entries), d.depth)
	}
	for first, table := range c.tables {
		if first<<table.depth != 0 {
			t.Fatalf("a table of depth %d begins with the hash %x", table.depth, first)
		}
		at := first >> (64 - d.depth)
		for i, e := range d.entries[at : at+1<<(d.depth-table.depth)] {
			if e.table != table || &e.buckets[0] != &table.buckets[0] || len(e.buckets) != len(table.buckets) {
				t.Fatalf("entry %d has another table than entry %d", at+uint64(i), at)
			}
		}
		checkTable(t, table, c.hashOf)
		for i := range table.slots() {
			r := table.slot(i).Load()
			if r == nil {
				continue
			}
			if h := c.hashOf(r); d.at(h).table != table {
				t.Fatalf("the record with the hash %x is in the table of %x", h, first)
			}
			if c.get(r.roomID()) != r {
				t.Fatalf("the record of %q is not found", r.roomID())
			}
		}
	}
}

// testID returns a room ID. Every third does not fit into a record.
func testID(n int) string {
	if n%3 == 0 {
		return fmt.Sprintf("%060d", n)
	}
	return fmt.Sprint("room-", n)
}

// testRecord returns a record of a room of its own.
func testRecord(roomID string, expires monotime.Time) *record {
	r := newRecord(&room{}, roomID)
	r.mono = expires
	return r
}

// removeKey removes the record under the key, if there is one.
func removeKey(c *cache, key string) {
	if r := c.get(key); r != nil {
		c.remove(r)
	}
}

func TestCacheAgainstModel(t *testing.T) {
	for _, keys := range []int{1, 10, 500, 20_000} {
		t.Run(fmt.Sprint(keys), func(t *testing.T) {
			rng := rand.New(rand.NewPCG(1, uint64(keys)))
			c := newCache()
			model := map[string]*record{}
			for op := range 60_000 {
				key := testID(rng.IntN(keys))
				// Growth and shrinking alternate.
				if remove := rng.IntN(10) < 2+6*(op/10_000%2); remove {
					removeKey(c, key)
					delete(model, key)
				} else {
					r := testRecord(key, monotime.Time(op))
					c.put(r)
					model[key] = r
				}
				key = testID(rng.IntN(keys))
				if got := c.get(key); got != model[key] {
					t.Fatalf("operation %d: get(%q) = %v, want %v", op, key, got, model[key])
				}
				if op%5000 == 0 {
					checkCache(t, c)
				}
			}
			checkCache(t, c)
			seen := map[string]bool{}
			for r := range c.all {
				if model[r.roomID()] != r || seen[r.roomID()] {
					t.Fatalf("all yielded %q, which is unknown or a duplicate", r.roomID())
				}
				seen[r.roomID()] = true
			}
			if len(seen) != len(model) {
				t.Fatalf("all yielded %d records, want %d", len(seen), len(model))
			}
			c.clear()
			checkCache(t, c)
			for key := range model {
				if c.get(key) != nil {
					t.Fatalf("get(%q) found a record after clear, want none", key)
				}
			}
		})
	}
}

func TestCacheKeysOfAllKinds(t *testing.T) {
	c := newCache()
	keys := []string{"", "a", "b", "\x00", "a\x00", strings.Repeat("x", 1024), strings.Repeat("x", 1023), "\xff\xfe", "日本"}
	for _, key := range keys {
		c.put(testRecord(key, 0))
	}
	for _, key := range keys {
		if r := c.get(key); r == nil || !r.is(key) {
			t.Errorf("get(%q) = %v, want its record", key, r)
		}
	}
	if c.get("absent") != nil {
		t.Error("get found an absent key, want none")
	}
}

// A record that has been replaced is no longer removed.
func TestCacheRemovesExactly(t *testing.T) {
	c := newCache()
	old, present := testRecord("r", 1), testRecord("r", 2)
	c.put(old)
	c.put(present)
	c.remove(old)
	if got := c.get("r"); got != present || c.len() != 1 {
		t.Errorf("removing a replaced record leaves %v of %d, want the present one", got, c.len())
	}
	c.remove(present)
	if got := c.get("r"); got != nil || c.len() != 0 {
		t.Errorf("removing the record leaves %v of %d, want none", got, c.len())
	}
}

// Rooms that come and go leave nothing behind that slows down or fills the tables.
func TestCacheReusesSlots(t *testing.T) {
	c := newCache()
	for i := range 200 {
		c.put(testRecord(fmt.Sprint("stays-", i), 0))
	}
	slots := c.slots()
	if slots > 200*2 {
		t.Errorf("%d slots for 200 rooms, want at most %d", slots, 200*2)
	}
	directory := c.directory.Load()
	for i := range 200_000 {
		key := fmt.Sprint("comes and goes ", i)
		c.put(testRecord(key, 0))
		removeKey(c, key)
	}
	checkCache(t, c)
	if c.directory.Load() != directory {
		t.Error("a table was rebuilt, want none: the number of rooms stayed the same")
	}
	for i := range 200 {
		if c.get(fmt.Sprint("stays-", i)) == nil {
			t.Fatalf("get did not find room %d, want it", i)
		}
	}
}

// A room costs 13 bytes in a large cache, and one bucket in a cache of its own.
func TestCacheGrowsAndShrinks(t *testing.T) {
	c := newCache()
	if n := c.slots(); n != bucketSlots {
		t.Errorf("an empty cache has %d slots, want %d", n, bucketSlots)
	}
	empty := c.directory.Load().entries[0].table
	if other := newCache(); other.directory.Load().entries[1].table != empty {
		t.Error("two empty caches have two tables, want one that they share")
	}
	const rooms = 100_000
	for i := range rooms {
		c.put(testRecord(fmt.Sprint(i), 0))
		if i == 0 && c.slots() != bucketSlots {
			t.Errorf("one room has %d slots, want %d", c.slots(), bucketSlots)
		}
	}
	checkCache(t, c)
	if empty.live != 0 || empty.buckets[0].records[0].Load() != nil {
		t.Error("the table of all empty caches has a record")
	}
	full := c.slots()
	if full < rooms*8/7 || full > rooms*10/7 {
		t.Errorf("%d slots for %d rooms, want %d to %d", full, rooms, rooms*8/7, rooms*10/7)
	}
	for _, table := range c.tables {
		if table.live > splitAt*2 {
			t.Errorf("a table of %d records, want at most %d: rebuilding it takes long", table.live, splitAt*2)
		}
	}
	for i := range rooms - 100 {
		removeKey(c, fmt.Sprint(i))
	}
	checkCache(t, c)
	if n := c.slots(); n > full/50 {
		t.Errorf("%d slots for 100 rooms, want at most %d, a fiftieth of those for %d", n, full/50, rooms)
	}
	for i := rooms - 100; i < rooms; i++ {
		if c.get(fmt.Sprint(i)) == nil {
			t.Fatalf("get did not find room %d, want it", i)
		}
	}
}

// clear moves the records to another cache.
func TestCacheClear(t *testing.T) {
	c := newCache()
	const rooms = 10_000
	for i := range rooms {
		c.put(testRecord(fmt.Sprint(i), 0))
	}
	at := c.cursor()
	for range rooms / 2 {
		at.next()
	}
	was := c.clear()
	checkCache(t, c)
	checkCache(t, was)
	if c.len() != 0 || was.len() != rooms {
		t.Errorf("clear left %d records and returned %d, want 0 and %d", c.len(), was.len(), rooms)
	}
	// The walk finishes its table, and finds no further one.
	left := 0
	for at.next() != nil {
		left++
	}
	if left > 2*splitAt {
		t.Errorf("a walk yielded %d records after clear, want at most those of its table", left)
	}
}

// Readers concurrent with a writer always find a room that stays, with one of the
// records that were put, and never one that was not put.
func TestCacheReadersBesideAWriter(t *testing.T) {
	c := newCache()
	const staying, coming = 300, 6000
	for i := range staying {
		c.put(testRecord(fmt.Sprint("stays-", i), 0))
	}
	var stop atomic.Bool
	var readers sync.WaitGroup
	for range max(2, runtime.GOMAXPROCS(0)) {
		readers.Go(func() {
			last := make([]monotime.Time, staying)
			for n := 0; !stop.Load(); n++ {
				i := n % staying
				key := fmt.Sprint("stays-", i)
				r := c.get(key)
				if r == nil || !r.is(key) {
					t.Errorf("get(%q) found nothing, want the record", key)
					return
				}
				if r.mono < last[i] {
					t.Errorf("get(%q) returned record %d after %d, want no older record", key, r.mono, last[i])
					return
				}
				last[i] = r.mono
				if r := c.get(fmt.Sprint("absent-", n)); r != nil {
					t.Errorf("get found %q, which was never put", r.roomID())
					return
				}
				if n%1000 == 0 {
					seen := map[string]int{}
					for r := range c.all {
						seen[r.roomID()]++
					}
					for i := range staying {
						if n := seen[fmt.Sprint("stays-", i)]; n != 1 {
							t.Errorf("all yielded a room that stays %d times, want once", n)
							return
						}
					}
				}
			}
		})
	}
	rng := rand.New(rand.NewPCG(3, 4))
	for n := range 100_000 {
		switch rng.IntN(4) {
		case 0:
			c.put(testRecord(fmt.Sprint("stays-", rng.IntN(staying)), monotime.Time(n)))
		case 1, 2:
			c.put(testRecord(fmt.Sprint("comes-", rng.IntN(coming)), 0))
		default:
			removeKey(c, fmt.Sprint("comes-", rng.IntN(coming)))
		}
		if n%40_000 == 39_999 { // remove all others: the tables shrink
			for i := range coming {
				removeKey(c, fmt.Sprint("comes-", i))
			}
		}
	}
	stop.Store(true)
	readers.Wait()
	checkCache(t, c)
}

// A walk that pauses while tables grow, are split, and shrink.
func TestCacheCursorThatPauses(t *testing.T) {
	c := newCache()
	const staying = 1000
	for i := range staying {
		c.put(testRecord(fmt.Sprint("stays-", i), 0))
	}
	seen := map[string]int{}
	at := c.cursor()
	for n := 0; ; n++ {
		r := at.next()
		if r == nil {
			break
		}
		seen[r.roomID()]++
		for j := range 40 {
			if key := fmt.Sprint("new-", n, "-", j); n < staying/2 {
				c.put(testRecord(key, 0))
			}
			removeKey(c, fmt.Sprint("new-", n-staying, "-", j))
		}
	}
	if depth := c.directory.Load().depth; depth < 3 {
		t.Fatalf("a directory of depth %d, want 3 or more: nothing was split", depth)
	}
	for i := range staying {
		if n := seen[fmt.Sprint("stays-", i)]; n != 1 {
			t.Errorf("the cursor yielded a room that stays %d times, want once", n)
		}
	}
	for key, n := range seen {
		if n != 1 {
			t.Errorf("the cursor yielded %q %d times, want once", key, n)
		}
	}
	checkCache(t, c)
	if r := newCache().cursor().next(); r != nil {
		t.Errorf("the cursor of an empty cache yielded %q, want nothing", r.roomID())
	}
}

// Rooms are spread evenly over the tables, and over the buckets of each.
func TestCacheSpreadsRooms(t *testing.T) {
	c := newCache()
	const rooms = 100_000
	for i := range rooms {
		c.put(testRecord(fmt.Sprintf("%08d-0000-4000-8000-000000000000", i), 0))
	}
	displaced := 0
	for _, table := range c.tables {
		if share := rooms >> table.depth; table.live < share/2 || table.live > share*2 {
			t.Errorf("a table has %d rooms, want about %d", table.live, share)
		}
		for i := range table.slots() {
			if r := table.slot(i).Load(); r != nil && home(c.hashOf(r), len(table.buckets)) != i/bucketSlots {
				displaced++
			}
		}
	}
	if displaced > rooms*3/20 { // 7 to 13 %, depending on how full the tables are
		t.Errorf("%d of %d rooms are not in their home bucket, want at most 15 %%", displaced, rooms)
	}
}
