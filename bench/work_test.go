package main

import (
	"context"
	"math"
	"testing"
	"time"

	"github.com/roomtoken/roomtoken/bench/internal/roomid"
)

// Every contender can do every work that applies to it.
func TestAllWorks(t *testing.T) {
	for _, w := range works {
		for _, c := range contenders {
			if !w.applies(c) {
				continue
			}
			t.Run(w.name+"/"+c.name, func(t *testing.T) {
				t.Parallel()
				found, err := do(w, c, scales["tiny"])
				if err != nil {
					t.Fatal(err)
				}
				tables := map[string]bool{}
				for _, m := range found {
					tables[m.Table] = true
					if math.IsNaN(m.Value) || math.IsInf(m.Value, 0) {
						t.Errorf("%s, %s: %v", m.Table, m.Column, m.Value)
					}
				}
				for _, table := range w.tables {
					if !tables[table.id] {
						t.Errorf("no measurement for table %s", table.id)
					}
					delete(tables, table.id)
				}
				if len(tables) > 0 {
					t.Errorf("measurements for unknown tables: %v", tables)
				}
			})
		}
	}
}

// roomtoken's counts of calls do not depend on the size or the machine.
func TestRoomtokenCalls(t *testing.T) {
	t.Parallel()
	most := map[string]map[string]float64{
		"cold": {"source calls": 1, "failed callers": 0},
		"down": {"source calls": 15}, // a minute of backoff: 0.5 s, 1 s, ... 30 s
		"slow": {"source calls": 1},
	}
	for _, w := range works {
		limits := most[w.name]
		if limits == nil {
			continue
		}
		found, err := do(w, roomtokenContender, scales["tiny"])
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range found {
			if limit, ok := limits[m.Column]; ok && m.Value > limit {
				t.Errorf("%s: %s is %v, want at most %v", w.name, m.Column, m.Value, limit)
			}
		}
	}
}

func TestSource(t *testing.T) {
	src := newSource(0, time.Minute)
	tok, err := src.mint(t.Context(), "key")
	if err != nil || tok.text != tokenText || tok.expires.Sub(tok.issued) != time.Minute {
		t.Errorf("minted %v, %v", tok, err)
	}
	epoch := time.Now().Add(-time.Second)
	src.issuance.Store(&issuance{issued: epoch, lifetime: time.Hour})
	if tok, _ := src.mint(t.Context(), "key"); !tok.issued.Equal(epoch) || !tok.expires.Equal(epoch.Add(time.Hour)) {
		t.Errorf("minted %v, want one issued at %v", tok, epoch)
	}
	src.down.Store(true)
	if _, err := src.mint(t.Context(), "key"); err == nil {
		t.Error("minted while down")
	}
	if calls, answers := src.calls.Load(), src.answers.Load(); calls != 3 || answers != 2 {
		t.Errorf("%d calls, %d answers", calls, answers)
	}
	slow := newSource(time.Hour, time.Minute)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := slow.mint(ctx, "key"); err == nil {
		t.Error("a call with a canceled ctx succeeded")
	}
}

// The floors with a clock do not return expired tokens.
func TestFloorsExpire(t *testing.T) {
	for _, c := range contenders {
		if c.kind != floor {
			continue
		}
		src := newSource(0, -time.Second)
		got, err := c.open(src, hourly(1))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := got.Get(t.Context(), "key"); err != nil {
			t.Fatal(err)
		}
		_, err = got.Get(t.Context(), "key")
		if reads := c.name != "sync.Map" && c.name != "xsync"; (err != nil) != reads {
			t.Errorf("%s: got error %v for an expired token", c.name, err)
		}
	}
}

func TestReadersVisitAllKeys(t *testing.T) {
	for name, read := range map[string]reader{"independent": readIndependent, "dependent": readDependent} {
		seen := recorder{}
		keys := roomid.New(10)
		if _, err := read(seen, keys, 3, time.Now().Add(time.Millisecond)); err != nil {
			t.Fatal(err)
		}
		if len(seen) != len(keys) {
			t.Errorf("%s: read %d keys of %d", name, len(seen), len(keys))
		}
	}
}

// recorder is a cache that counts the reads of each key.
type recorder map[string]int

func (r recorder) Get(_ context.Context, key string) (string, error) {
	r[key]++
	return tokenText, nil
}

func (recorder) Close() error { return nil }

func TestKeysAreDistinct(t *testing.T) {
	seen := map[string]bool{}
	for _, key := range roomid.New(10_000) {
		if len(key) != 36 || seen[key] {
			t.Fatalf("key %q", key)
		}
		seen[key] = true
	}
}

func TestCount(t *testing.T) {
	for n, want := range map[int]string{1: "1 key", 0: "0 keys", 999: "999 keys", 1_000: "1,000 keys", 1_000_000: "1,000,000 keys"} {
		got := count(n, "key")
		if got != want {
			t.Errorf("count(%d) = %q, want %q", n, got, want)
		}
		if back, ok := sizeOf(got); !ok || back != float64(n) {
			t.Errorf("sizeOf(%q) = %v, %v", got, back, ok)
		}
	}
	if _, ok := sizeOf("source calls"); ok {
		t.Error("a column without a number of keys has a size")
	}
}

func TestWorst(t *testing.T) {
	if got := worst([]time.Duration{1, 3, 2}); got != 3 {
		t.Errorf("worst = %v", got)
	}
	if got := worst(nil); got != 0 {
		t.Errorf("worst(nil) = %v", got)
	}
}
