package hist

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"time"
)

func TestBucketsCoverAllDurations(t *testing.T) {
	for b := range buckets - 1 {
		if got := bucket(ceiling(b)); got != b {
			t.Fatalf("the longest duration of bucket %d, %d ns, is in bucket %d", b, ceiling(b), got)
		}
		if got := bucket(ceiling(b) + 1); got != b+1 {
			t.Fatalf("%d ns are in bucket %d, want %d", ceiling(b)+1, got, b+1)
		}
	}
	if b := bucket(math.MaxInt64); b >= buckets {
		t.Fatalf("the longest duration is in bucket %d of %d", b, buckets)
	}
	if b := bucket(-time.Second); b != 0 {
		t.Fatalf("a negative duration is in bucket %d", b)
	}
}

func TestQuantiles(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	var all []time.Duration
	var sum Sum
	for range 4 {
		var h Hist
		for range 5000 {
			d := time.Duration(math.Exp(rng.Float64() * 20))
			all = append(all, d)
			h.Add(d)
		}
		sum.Add(&h)
	}
	slices.Sort(all)
	for _, share := range []float64{0, 0.5, 0.99, 0.999, 1} {
		want := all[min(int(share*float64(len(all))), len(all)-1)]
		if got := sum.Quantile(share); got < want || float64(got) > float64(want)*(1+1.0/steps)+1 {
			t.Errorf("quantile %v is %v, want %v", share, got, want)
		}
	}
	if sum.Worst() != all[len(all)-1] || sum.Total() != uint64(len(all)) {
		t.Errorf("worst %v of %d, want %v of %d", sum.Worst(), sum.Total(), all[len(all)-1], len(all))
	}
	if (&Sum{}).Quantile(0.5) != 0 {
		t.Error("the quantile of an empty Sum is not 0")
	}
}

func TestRound(t *testing.T) {
	for d, want := range map[time.Duration]string{
		0: "0s", 123: "123ns", 12345: "12.3µs", 1234567: "1.23ms", 51849113: "51.8ms", 12345678901: "12.3s",
	} {
		if got := Round(d).String(); got != want {
			t.Errorf("Round(%d) is %s, want %s", d, got, want)
		}
	}
}
