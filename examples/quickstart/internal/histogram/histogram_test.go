package histogram

import (
	"testing"
	"time"
)

func TestHistogram(t *testing.T) {
	var h Histogram
	if got := h.Quantile(0.5); got != 0 {
		t.Errorf("the median of an empty histogram is %v, want 0", got)
	}
	for d := range time.Millisecond / 1000 {
		h.Add(1000 * d)
	}
	h.Add(2 * time.Hour) // beyond the last bucket
	for q, want := range map[float64]time.Duration{0.5: 500 * time.Microsecond, 0.99: 990 * time.Microsecond} {
		if got := h.Quantile(q); got < want*98/100 || got > want*102/100 {
			t.Errorf("quantile %v is %v, want about %v", q, got, want)
		}
	}
	if got := h.Quantile(1); got < time.Minute || h.Max() != 2*time.Hour {
		t.Errorf("quantile 1 is %v and the maximum %v", got, h.Max())
	}
}
