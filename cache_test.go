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
// lines, not three. A room has 88; the next size class is 96.
func TestRecordFillsTwoCacheLines(t *testing.T) {
	want := [2]uintptr{96, 88}
	if unsafe.Sizeof(uintptr(0)) != 8 {
		want = [2]uintptr{RecordSize, RoomSize} // pointers are shorter here
	}
	if got := [2]uintptr{RecordSize, RoomSize}; got != want {
		t.Fatalf("sizes of a record and a room = %d, want %d", got, want)
	}
	if size := unsafe.Sizeof(shard{}); size%64 != 0 {
		t.Errorf("size of a shard = %d, want a multiple of 64: neighbors must not share a cache line", size)
	}
}

// checkCache checks the tables: counts agree, every record is found, and no table is
// full.
func checkCache(t *testing.T, c *cache) {
	t.Helper()
	for i := range c.shards {
		sh := &c.shards[i]
		s := sh.slots.Load()
		taken, live := 0, 0
		for j := range s.array {
			if s.array[j].hash.Load() != 0 {
				taken++
			} else if s.array[j].record.Load() != nil {
				t.Fatalf("shard %d: slot %d has a record but no hash", i, j)
			}
			if r := s.array[j].record.Load(); r != nil {
				live++
				if c.get(r.roomID()) != r {
					t.Fatalf("shard %d: the record of %q is not found", i, r.roomID())
				}
			}
		}
		if taken != sh.taken || live != sh.live {
			t.Fatalf("shard %d counts %d taken and %d live, want %d and %d", i, sh.taken, sh.live, taken, live)
		}
		if taken == len(s.array) {
			t.Fatalf("shard %d is full: the lookup of an absent key never ends", i)
		}
		if n := len(s.array); n&(n-1) != 0 || s.mask != uint64(n-1) {
			t.Fatalf("shard %d has %d slots and the mask %x, want a power of two and its mask", i, n, s.mask)
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

// Rooms that come and go leave no removed slots that slow down or fill the table.
func TestCacheTombstones(t *testing.T) {
	c := newCache()
	for i := range 200 {
		c.put(testRecord(fmt.Sprint("stays-", i), 0))
	}
	for i := range 200_000 {
		key := fmt.Sprint("comes and goes ", i)
		c.put(testRecord(key, 0))
		removeKey(c, key)
	}
	checkCache(t, c)
	slots := 0
	for i := range c.shards {
		slots += len(c.shards[i].slots.Load().array)
	}
	if slots > 200*16+shardCount*8 {
		t.Errorf("%d slots for 200 rooms, want at most %d", slots, 200*16+shardCount*8)
	}
	for i := range 200 {
		if c.get(fmt.Sprint("stays-", i)) == nil {
			t.Fatalf("get did not find room %d, want it", i)
		}
	}
	// One key that comes and goes needs one slot.
	c = newCache()
	for range 1000 {
		c.put(testRecord("r", 0))
		removeKey(c, "r")
	}
	checkCache(t, c)
	taken := 0
	for range 1000 {
		c.put(testRecord("other", 0)) // keeps the table from being rebuilt when it is empty
		removeKey(c, "r")
		c.put(testRecord("r", 0))
	}
	for i := range c.shards {
		taken += c.shards[i].taken
	}
	if taken > 2 {
		t.Errorf("two rooms take %d slots, want at most 2", taken)
	}
}

func TestCacheGrowsAndShrinks(t *testing.T) {
	c := newCache()
	size := func() (n int) {
		for i := range c.shards {
			n += len(c.shards[i].slots.Load().array)
		}
		return n
	}
	if n := size(); n != shardCount {
		t.Errorf("an empty cache has %d slots, want %d", n, shardCount)
	}
	const rooms = 100_000
	for i := range rooms {
		c.put(testRecord(fmt.Sprint(i), 0))
	}
	checkCache(t, c)
	full := size()
	if full < rooms*4/3 || full > rooms*4 {
		t.Errorf("%d slots for %d rooms, want %d to %d", full, rooms, rooms*4/3, rooms*4)
	}
	for i := range rooms - 100 {
		removeKey(c, fmt.Sprint(i))
	}
	checkCache(t, c)
	if n := size(); n > full/50 {
		t.Errorf("%d slots for 100 rooms, want at most %d, a fiftieth of those for %d", n, full/50, rooms)
	}
	for i := rooms - 100; i < rooms; i++ {
		if c.get(fmt.Sprint(i)) == nil {
			t.Fatalf("get did not find room %d, want it", i)
		}
	}
}

// Readers concurrent with a writer always find a room that stays, with one of the
// records that were put, and never one that was not put.
func TestCacheReadersBesideAWriter(t *testing.T) {
	c := newCache()
	const staying = 300
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
			c.put(testRecord(fmt.Sprint("comes-", rng.IntN(3000)), 0))
		default:
			removeKey(c, fmt.Sprint("comes-", rng.IntN(3000)))
		}
		if n%40_000 == 39_999 { // remove all others: the tables shrink
			for i := range 3000 {
				removeKey(c, fmt.Sprint("comes-", i))
			}
		}
	}
	stop.Store(true)
	readers.Wait()
	checkCache(t, c)
}

// A walk that pauses while the cache changes.
func TestCacheCursorThatPauses(t *testing.T) {
	c := newCache()
	for i := range 1000 {
		c.put(testRecord(fmt.Sprint("stays-", i), 0))
	}
	at := c.cursor()
	seen := map[string]int{}
	for n := 0; ; n++ {
		r := at.next()
		if r == nil {
			break
		}
		seen[r.roomID()]++
		for j := range 20 {
			c.put(testRecord(fmt.Sprint("new-", n, "-", j), 0))
		}
		if n > 5000 {
			break // the walk also visits new records
		}
		removeKey(c, fmt.Sprint("new-", n, "-", 0))
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

// Rooms are spread evenly over the shards.
func TestCacheSpreadsRooms(t *testing.T) {
	c := newCache()
	const rooms = 64_000
	for i := range rooms {
		c.put(testRecord(fmt.Sprintf("%08d-0000-4000-8000-000000000000", i), 0))
	}
	for i := range c.shards {
		if n := c.shards[i].live; n < 700 || n > 1300 {
			t.Errorf("shard %d has %d of %d rooms, want 700 to 1300", i, n, rooms)
		}
	}
}
