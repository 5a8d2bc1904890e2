// Package pace spaces the beginnings of calls: at a rate that the user has set, and at
// one that a rate limit of the source has taught. It keeps no lock; time is an
// argument.
package pace

import (
	"math"
	"time"

	"github.com/roomtoken/roomtoken/internal/monotime"
)

const (
	// growth is the fraction by which a learned pace grows per second.
	growth = 1.0 / 20

	// forget is how long after the last rate limit a learned pace is dropped.
	forget = 10 * time.Minute

	// slowest is the slowest pace that is learned, in calls per second.
	slowest = 0.5

	// settle is how long after the end of a hold another rate limit does not slow the
	// pace again: its call began before the pace could tell.
	settle = time.Second

	// catchUp bounds how much lateness of a timer is made up for. At 500 calls per second
	// 12 may then begin at once: a server that counts in seconds does not notice. Where
	// calls are that far apart, lateness hardly matters, and nothing is made up for.
	catchUp = 25 * time.Millisecond
)

// Pace spaces the beginnings of calls. The zero Pace spaces nothing.
type Pace struct {
	// Limit is the user's bound, in calls per second; 0: none.
	Limit float64

	learned float64       // in calls per second, when it was learned; 0: none
	at      monotime.Time // when that was
	limited monotime.Time // the last rate limit
	next    monotime.Time // no call begins before
	gap     time.Duration // that the last call left before next
	waiting bool          // a call was held back until next: its lateness is the timer's

	successes recent
}

// Rate returns the present pace in calls per second, 0 if there is none.
func (p *Pace) Rate(now monotime.Time) float64 {
	rate := p.learnedRate(now)
	if p.Limit > 0 && (rate == 0 || p.Limit < rate) {
		return p.Limit
	}
	return rate
}

// learnedRate returns what is left of the learned pace.
func (p *Pace) learnedRate(now monotime.Time) float64 {
	if p.learned == 0 || now.Sub(p.limited) >= forget {
		return 0
	}
	return p.learned * math.Pow(1+growth, now.Sub(p.at).Seconds())
}

// Opens returns when the next call may begin: a time after now, or 0 if it may begin
// now.
func (p *Pace) Opens(now monotime.Time) monotime.Time {
	if p.next.After(now) && p.Rate(now) > 0 {
		p.waiting = true
		return p.next
	}
	return 0
}

// Idle notes that no call is held back: what begins later is not late.
func (p *Pace) Idle() { p.waiting = false }

// Began notes that a call begins now.
func (p *Pace) Began(now monotime.Time) {
	rate := p.Rate(now)
	if rate == 0 {
		p.gap = 0
		return
	}
	from := now
	if p.waiting && p.gap < catchUp && now.Sub(p.next) < catchUp {
		from = p.next
	}
	gap := math.Min(float64(time.Second)/rate, float64(monotime.Never)) // the slowest rates would overflow
	p.gap = time.Duration(gap)
	p.next = from.Add(p.gap)
	p.waiting = p.waiting && !p.next.After(now) // it is still late: so the next call makes up for it, too
}

// Unused notes that a call for which Began was called does not begin after all.
func (p *Pace) Unused() { p.next = p.next.Add(-p.gap) }

// Succeeded notes a success.
func (p *Pace) Succeeded(now monotime.Time) { p.successes.add(now) }

// RateLimited notes a rate limit that holds calls back until the given time: it
// learns a pace of half the successes of the last second, or halves the present one.
func (p *Pace) RateLimited(now, until monotime.Time) {
	switch rate := p.learnedRate(now); {
	case rate == 0:
		p.learned = max(float64(p.successes.count(now))/2, slowest)
	case now.Sub(p.at) >= settle:
		p.learned = max(rate/2, slowest)
	default:
		p.limited = now
		p.at = max(p.at, until)
		return
	}
	p.limited, p.at = now, max(now, until)
}

// Forget drops the learned pace.
func (p *Pace) Forget() { *p = Pace{Limit: p.Limit, next: p.next} }

// recent counts what happened during the last second, in tenths.
type recent struct {
	tenths [10]int
	latest int64 // the tenth of a second that was counted last
}

const tenth = monotime.Time(100 * time.Millisecond)

func (r *recent) advance(now monotime.Time) {
	n := int64(now / tenth)
	for i := max(r.latest+1, n-int64(len(r.tenths))+1); i <= n; i++ {
		r.tenths[i%int64(len(r.tenths))] = 0
	}
	r.latest = max(r.latest, n)
}

func (r *recent) add(now monotime.Time) {
	r.advance(now)
	r.tenths[r.latest%int64(len(r.tenths))]++
}

func (r *recent) count(now monotime.Time) (n int) {
	r.advance(now)
	for _, c := range r.tenths {
		n += c
	}
	return n
}
