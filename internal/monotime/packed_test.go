package monotime

import (
	"math"
	"testing"
	"time"
	"unsafe"

	"github.com/benbjohnson/clock"
)

// clockAt returns a Clock whose base is that Unix time.
func clockAt(sec, nsec int64) *Clock {
	fake := clock.NewMock()
	fake.Set(time.Unix(sec, nsec))
	return New(fake)
}

func TestPackedExpiryHas12Bytes(t *testing.T) {
	if size := unsafe.Sizeof(PackedExpiry{}); size != 12 {
		t.Errorf("%d bytes, want 12", size)
	}
}

func TestPack(t *testing.T) {
	const (
		base = 1_790_000_000 // in 2026
		day  = 24 * time.Hour
		year = 365 * day
	)
	c := clockAt(base, 7)
	// at is an hour after the base on the wall clock, and that much later on the other.
	at := func(lead time.Duration) Expiry {
		return Expiry{Mono: Time(time.Hour + lead), Sec: base + 3600, Nsec: 7}
	}
	for _, tt := range []struct {
		name  string
		e     Expiry
		early time.Duration // on the monotonic clock, at most
		wall  time.Time     // if it is not exact
	}{
		{"both clocks agree", at(0), 0, time.Time{}},
		{"they differ by little", at(-12_345_677), 0, time.Time{}},
		{"the monotonic clock is later by little", at(16_777_215), 0, time.Time{}},
		{"suspended for a minute", at(-time.Minute - 1), 8 * time.Microsecond, time.Time{}},
		{"suspended for two hours", at(-2*time.Hour - 1), time.Millisecond, time.Time{}},
		{"stepped backward by two hours", at(2*time.Hour - 1), time.Millisecond, time.Time{}},
		{"suspended for a month", at(-31*day - 1), 400 * time.Millisecond, time.Time{}},
		{"a clock that began in 1970 was set", at(-56*year - 1), 5 * time.Minute, time.Time{}},
		{"it had expired before the base", Expiry{Mono: -Time(time.Hour), Sec: base - 3600, Nsec: 7}, 0, time.Time{}},
		{"before 1970", Expiry{Mono: 0, Sec: -1, Nsec: 999_999_999}, 5 * time.Minute, time.Time{}},
		{"a century ahead", Expiry{Mono: Time(100 * year), Sec: base + int64(100*year/time.Second), Nsec: 7}, 0, time.Time{}},
		{"the last second before 2262 is over", Expiry{Mono: 0, Sec: math.MaxInt64/1_000_000_000 - 1, Nsec: 999_999_999}, 16 * time.Minute, time.Time{}},
		{"beyond 2262", Expiry{Mono: Time(100 * year), Sec: math.MaxInt64 / 1_000_000_000, Nsec: 1}, 16 * time.Minute, time.Unix(math.MaxInt64/1_000_000_000, 0)},
		{"in the year 9999", Expiry{Mono: Time(100 * year), Sec: 253_402_300_799}, 16 * time.Minute, time.Time{}},
		{"the last time of all", Expiry{Mono: Time(time.Hour), Sec: math.MaxInt64, Nsec: 999_999_999}, 16 * time.Minute, time.Unix(1<<62, 0)},
		{"never on the monotonic clock only", Expiry{Mono: Never, Sec: base}, 10 * time.Minute, time.Time{}},
	} {
		p := c.Pack(tt.e)
		got := c.Unpack(p)
		if early := tt.e.Mono.Sub(got.Mono); early < 0 || early > tt.early {
			t.Errorf("%s: earlier by %v on the monotonic clock, want 0 to %v", tt.name, early, tt.early)
		}
		if tt.wall.IsZero() {
			tt.wall = time.Unix(tt.e.Sec, int64(tt.e.Nsec))
		}
		if wall := time.Unix(got.Sec, int64(got.Nsec)); !wall.Equal(tt.wall) {
			t.Errorf("%s: %v on the wall clock, want %v", tt.name, wall, tt.wall)
		}
		if !p.Time().Equal(tt.wall) || p.Time().Location() != time.UTC {
			t.Errorf("%s: Time() = %v, want %v in UTC", tt.name, p.Time(), tt.wall)
		}
	}
}

func TestPackUnknown(t *testing.T) {
	c, unknown := clockAt(1_790_000_000, 0), Expiry{Mono: Never, Sec: math.MaxInt64}
	p := c.Pack(unknown)
	if got := c.Unpack(p); got != unknown {
		t.Errorf("Unpack = %+v, want %+v", got, unknown)
	}
	if !p.Time().IsZero() {
		t.Errorf("Time() = %v, want the zero Time", p.Time())
	}
}

// What expired in the Middle Ages has still expired.
func TestPackLongAgo(t *testing.T) {
	c := clockAt(1_790_000_000, 0)
	for _, e := range []Expiry{
		{Mono: 0, Sec: time.Date(1066, 10, 14, 0, 0, 0, 0, time.UTC).Unix()},
		{Mono: -Time(maxLife), Sec: math.MinInt64},
		{Mono: math.MinInt64, Sec: math.MaxInt64},
	} {
		if left := c.Left(c.Unpack(c.Pack(e)), Reading{}); left > 0 {
			t.Errorf("%+v: Left() = %v, want 0 or less", e, left)
		}
	}
}

const maxLife = 100 * 365 * 24 * time.Hour // more than any credential lives

func FuzzPack(f *testing.F) {
	f.Add(int64(1_790_000_000), int64(3_600_000_000_000), int64(1_790_003_600), int64(0))
	f.Add(int64(0), int64(-1), int64(math.MaxInt64), int64(999_999_999))
	f.Add(int64(1_790_000_000), int64(maxLife), int64(1_790_003_600), int64(1))
	f.Fuzz(func(t *testing.T, base, mono, sec, nsec int64) {
		base &= 1<<33 - 1                       // until 2242
		mono %= int64(maxLife)                  // see clampLife in the root package
		sec = max(sec, base-int64(maxLife/1e9)) // the same
		c := clockAt(base, nsec&1<<29)          // any nanosecond
		e := Expiry{Mono: Time(mono), Sec: sec, Nsec: uint32(uint64(nsec) % 1e9)}
		p := c.Pack(e)
		got := c.Unpack(p)
		if got.Mono > e.Mono && got.Mono >= 0 {
			t.Errorf("%+v becomes %+v, later on the monotonic clock", e, got)
		}
		if got.Sec > e.Sec || got.Sec == e.Sec && got.Nsec > e.Nsec {
			t.Errorf("%+v becomes %+v, later on the wall clock", e, got)
		}
		if e.Sec >= math.MaxInt64/1_000_000_000 {
			e.Sec, e.Nsec = min(e.Sec, 1<<62), 0
		}
		if got.Sec != e.Sec || got.Nsec != e.Nsec {
			t.Errorf("%+v becomes %+v, not the same on the wall clock", e, got)
		}
		if got.Mono < 0 && e.Mono < 0 {
			return // it has passed, whenever that was
		}
		differ := time.Duration(e.Mono.Add(-time.Duration(c.FromTime(time.Unix(e.Sec, int64(e.Nsec)))))).Abs()
		early := e.Mono.Sub(got.Mono)
		if early > differ>>23 {
			t.Errorf("%+v becomes %+v, earlier by %v where the clocks differ by %v", e, got, early, differ)
		}
		if c.Pack(got) != p {
			t.Errorf("%+v becomes %+v, and packed again %+v", e, got, c.Unpack(c.Pack(got)))
		}
	})
}
