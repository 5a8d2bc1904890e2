package recover

import (
	"context"
	"flag"
	"fmt"
	"io"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/roomtoken/roomtoken/bench/internal/roomid"
	"github.com/roomtoken/roomtoken/bench/internal/stat"
)

var (
	runs   = flag.Int("recover.runs", 1, "`number` of times that each contender does each work")
	outage = flag.Duration("recover.outage", time.Minute, "how long the source is down before")
)

// contender is a program that wants tokens.
type contender struct {
	name  string
	start start
}

// start starts a program that gets a token for each room, until ctx ends. Then finish waits
// for its end and returns how many rooms have a token.
type start func(ctx context.Context, src *source, rooms []string) (finish func() int)

// us is the contender that has to keep a promise.
const us = "**roomtoken**"

var contenders = []contender{
	{us, startManager},
	{"workers", startWorkers(func() limiter { return unlimited{} })},
	{"failsafe-go, adaptive limiter", startWorkers(newAdaptiveLimiter)},
	{"failsafe-go, adaptive throttler", startWorkers(newAdaptiveThrottler)},
	{"aws-sdk-go-v2, adaptive mode", startWorkers(newAdaptiveMode)},
}

func TestRecovery(t *testing.T) {
	out := io.Discard
	if testing.Verbose() {
		out = os.Stdout
	}
	for _, w := range works {
		fmt.Fprintf(out, "%s:\n\n", w.title)
		row(out, "", "all have a token after, s", "first call after, s", "refused calls, and share of all", "calls at a time", "calls in the outage")
		row(out, "---", "---:", "---:", "---:", "---:", "---:")
		row(out, "ideal", tenths(w.ideal().Seconds()), "0.0", "0", "", "")
		for _, c := range contenders {
			var all, first, refused, share, peak, down []float64
			for range *runs {
				got := w.run(t, c)
				if c.name == us && w.refuses > 0 && got.share() > w.refuses {
					t.Errorf("%s: %d of %d calls of %s were refused, want %.0f %% at most",
						w.title, got.refused, got.calls, c.name, 100*w.refuses)
				}
				all = append(all, got.all.Seconds())
				first = append(first, got.first.Seconds())
				refused = append(refused, float64(got.refused))
				share = append(share, got.share())
				peak = append(peak, float64(got.peak))
				down = append(down, float64(got.down))
			}
			row(out, c.name, spread(all, tenths), spread(first, tenths),
				spread(refused, whole)+", "+tenths(100*stat.Median(share))+" %", whole(slices.Max(peak)), whole(stat.Median(down)))
		}
		fmt.Fprintln(out)
	}
}

// run lets a contender do the work.
func (w work) run(t *testing.T, c contender) (result tally) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		src := newSource(w)
		finish := c.start(ctx, src, roomid.New(w.rooms))
		time.Sleep(*outage)
		src.comeBack()
		select {
		case <-src.done:
		case <-time.After(time.Hour):
		}
		synctest.Wait() // the token is where it belongs
		cancel()
		if served := finish(); served != w.rooms {
			t.Errorf("%s: %s has tokens for %d of %d rooms", w.title, c.name, served, w.rooms)
		}
		result = src.tally
	})
	return result
}

// spread returns the median of some values, and their range.
func spread(values []float64, format func(float64) string) string {
	text, least, most := format(stat.Median(values)), format(slices.Min(values)), format(slices.Max(values))
	if least == most {
		return text
	}
	return fmt.Sprintf("%s (%s to %s)", text, least, most)
}

func tenths(v float64) string { return strconv.FormatFloat(v, 'f', 1, 64) }

func whole(v float64) string { return stat.Grouped(int64(v + 0.5)) }

func row(out io.Writer, cells ...string) { fmt.Fprintf(out, "| %s |\n", strings.Join(cells, " | ")) }
