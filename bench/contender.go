package main

import (
	"context"
	"fmt"
	"slices"
	"time"
)

// A contender is one way to cache tokens, set up as a careful user would do it for
// the given terms.
type contender struct {
	name   string // in tables
	module string // the module, for its version; "": the standard library
	kind   kind
	single bool // caches one token only

	renews     renewal
	copiesKeys bool // copies each key
	open       func(*source, terms) (cache, error)
}

// cache is the interface that all contenders implement.
type cache interface {
	// Get returns the text of the key's token, from memory or from the source. A
	// contender without support for contexts ignores ctx. One that caches a single
	// token ignores the key.
	Get(ctx context.Context, key string) (string, error)
	// Close releases what the contender can release.
	Close() error
}

// filler is a cache with a faster way to get many keys than calling Get for each.
type filler interface {
	Fill(ctx context.Context, keys []string) error
}

// kind is a contender's role in the comparison.
type kind int

const (
	us    kind = iota
	peer       // a library that does the same, or part of it
	floor      // the minimal cost of a hit, without the rest
)

// renewal is how a contender replaces a token before it expires.
type renewal int

const (
	never        renewal = iota // a caller waits for the new token
	onRead                      // the first read after it is due starts the call
	inBackground                // without a read
)

// terms configure a contender, as far as it has the options.
type terms struct {
	lifetime    time.Duration
	renewAfter  time.Duration // the age at which a token is renewed
	early       time.Duration // how long before its expiry a token is no longer used
	backoff     time.Duration // wait after the first failed renewal; grows
	maxBackoff  time.Duration
	retry       time.Duration // wait after a failed renewal, for contenders whose wait does not grow
	callTimeout time.Duration
	maxWait     time.Duration
	keys        int
}

// hourly returns the terms for measurements that no renewal should disturb.
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

// contenders are in the order of the tables.
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

// referenceFloor is the floor that ratios refer to: the least that a cache of
// expiring tokens has to do, with the standard library only.
var referenceFloor = syncMapContender(monotonicClock).name

// find returns the contender with that name.
func find(name string) (contender, error) {
	i := slices.IndexFunc(contenders, func(c contender) bool { return c.name == name })
	if i < 0 {
		return contender{}, fmt.Errorf("unknown contender %q", name)
	}
	return contenders[i], nil
}

// fill gets a token for every key.
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
