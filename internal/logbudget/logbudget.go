// Package logbudget bounds how many lines of a kind a log gets per minute, so that an
// outage does not bury what matters.
package logbudget

import (
	"iter"
	"time"
)

// PerMinute is how many lines of a kind are within the budget of a minute.
const PerMinute = 2

// Budget counts lines by kind. The zero Budget is ready to use. It is for one goroutine
// at a time.
type Budget struct {
	minutes map[string]*minute // by kind
}

// minute counts the lines of a kind in the minute that began with the first of them.
type minute struct {
	from    time.Time
	lines   int
	skipped int // lines beyond the budget
}

// Allow counts a line, and reports whether it is within the budget of its kind.
func (b *Budget) Allow(kind string, now time.Time) bool {
	m := b.minutes[kind]
	if m == nil {
		if b.minutes == nil {
			b.minutes = map[string]*minute{}
		}
		m = &minute{from: now}
		b.minutes[kind] = m
	}
	if m.lines++; m.lines <= PerMinute {
		return true
	}
	m.skipped++
	return false
}

// Skipped ends the minutes that are over. It yields each kind of which there were too
// many lines, and how many were beyond the budget.
func (b *Budget) Skipped(now time.Time) iter.Seq2[string, int] {
	return func(yield func(string, int) bool) {
		for kind, m := range b.minutes {
			if since := now.Sub(m.from); since >= 0 && since < time.Minute {
				continue
			}
			delete(b.minutes, kind)
			if m.skipped > 0 && !yield(kind, m.skipped) {
				return
			}
		}
	}
}
