package main

import (
	"context"
	"fmt"
	"slices"
	"time"
)

// A contender is one way to keep tokens at hand. Each is set up as a careful
// user would set it up for tokens of the given terms.
type contender struct {
	name   string // in tables
	module string // the module whose version the page names; "": the standard library
	kind   kind
	single bool // holds one token only

	renews     renewal
	copiesKeys bool // keeps a copy of its own of each key
	open       func(*source, terms) (cache, error)
}

// cache is what all work is done on.
type cache interface {
	// Get returns the text of the key's token, from memory or from the source. A
	// contender that knows no ctx ignores it. One that holds a single token
	// ignores the key.
	Get(ctx context.Context, key string) (string, error)
	// Close ends what the contender can end.
	Close() error
}

// filler is a cache that has a faster way to get many keys than to Get one after
// the other.
type filler interface {
	Fill(ctx context.Context, keys []string) error
}

// kind says what a contender is in the comparison.
type kind int

const (
	us    kind = iota
	peer       // does the same job, or part of it
	floor      // does not do the job: the least that anybody's hit costs
)

// renewal says how a contender gets a new token ahead of the old one's end.
type renewal int

const (
	never    renewal = iota // somebody waits for it
	onRead                  // the first read after it is due starts it
	byItself                // whether anybody reads or not
)

// terms are what a contender is told of the tokens it holds and of how it is to
// treat them. Where a contender lacks a knob, it goes without.
type terms struct {
	lifetime    time.Duration
	renewAfter  time.Duration // the age at which a token is renewed ahead
	early       time.Duration // a token with less to live is not handed out
	backoff     time.Duration // wait after a first failed renewal, growing
	maxBackoff  time.Duration
	retry       time.Duration // wait after a failed renewal, for those whose wait does not grow
	callTimeout time.Duration
	maxWait     time.Duration
	keys        int
}

// hourly are the terms where time plays no part.
func hourly(keys int) terms {
	return terms{
		lifetime:    time.Hour,
		renewAfter:  40 * time.Minute,
		early:       30 * time.Second,
		backoff:     500 * time.Millisecond,
		maxBackoff:  30 * time.Second,
		retry:       5 * time.Second,
		callTimeout: 10 * time.Second,
		maxWait:     30 * time.Second,
		keys:        keys,
	}
}

// contenders are all of them, in the order of the tables.
var contenders = []contender{
	roomtokenContender,
	otterContender,
	sturdycContender,
	oauth2Contender,
	gcpContender,
	awsContender,
	syncMapContender(noClock),
	syncMapContender(monotonicClock),
	syncMapContender(wallClock),
	xsyncContender(noClock),
	xsyncContender(monotonicClock),
	xsyncContender(wallClock),
}

// referenceFloor is the floor that ratios refer to: what no cache of expiring
// tokens can do without, with what the standard library has.
var referenceFloor = syncMapContender(monotonicClock).name

// find returns the contender of that name.
func find(name string) (contender, error) {
	i := slices.IndexFunc(contenders, func(c contender) bool { return c.name == name })
	if i < 0 {
		return contender{}, fmt.Errorf("no contender %q", name)
	}
	return contenders[i], nil
}

// fill sees to it that every key has a token.
func fill(ctx context.Context, c cache, keys []string) error {
	if f, ok := c.(filler); ok {
		return f.Fill(ctx, keys)
	}
	for _, key := range keys {
		if _, err := c.Get(ctx, key); err != nil {
			return err
		}
	}
	return nil
}
