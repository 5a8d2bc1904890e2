package main

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/puzpuzpuz/xsync/v4"
)

// The floors do the least that a hit requires: a lookup in a concurrent map, and
// reading the clock. They do not collapse calls, renew tokens or observe deadlines.

// clockKind is how a floor checks whether a token has expired.
type clockKind int

const (
	noClock clockKind = iota
	monotonicClock
	wallClock
)

func (k clockKind) String() string {
	return [...]string{"", " + time.Since", " + time.Now"}[k]
}

var errExpired = errors.New("the token has expired")

// floorEntry is a token with its expiry on both clocks.
type floorEntry struct {
	text string
	mono time.Duration // since the floor's base
	wall time.Time
}

// floorClock checks whether entries are valid.
type floorClock struct {
	kind clockKind
	base time.Time
}

func (c *floorClock) valid(e *floorEntry) bool {
	switch c.kind {
	case monotonicClock:
		return time.Since(c.base) < e.mono
	case wallClock:
		return time.Now().Before(e.wall)
	default:
		return true
	}
}

// mint creates the entry of a key.
func (c *floorClock) mint(ctx context.Context, src *source, key string) (*floorEntry, error) {
	tok, err := src.mint(ctx, key)
	if err != nil {
		return nil, err
	}
	return &floorEntry{
		text: tok.text,
		mono: tok.expires.Sub(c.base),
		wall: tok.expires.Round(0), // without a monotonic reading, as if received over a network
	}, nil
}

func syncMapContender(k clockKind) contender {
	return contender{
		name: "sync.Map" + k.String(),
		kind: floor,
		open: func(src *source, _ terms) (cache, error) {
			return &syncMapCache{source: src, clock: floorClock{k, time.Now()}}, nil
		},
	}
}

type syncMapCache struct {
	source  *source
	clock   floorClock
	entries sync.Map // of string to *floorEntry
}

func (c *syncMapCache) Get(ctx context.Context, key string) (string, error) {
	v, ok := c.entries.Load(key)
	if !ok {
		return c.miss(ctx, key)
	}
	e, ok := v.(*floorEntry)
	if !ok || !c.clock.valid(e) {
		return "", errExpired
	}
	return e.text, nil
}

func (c *syncMapCache) miss(ctx context.Context, key string) (string, error) {
	e, err := c.clock.mint(ctx, c.source, key)
	if err != nil {
		return "", err
	}
	c.entries.Store(key, e)
	return e.text, nil
}

func (*syncMapCache) Close() error { return nil }

func xsyncContender(k clockKind) contender {
	return contender{
		name:   "xsync" + k.String(),
		module: "github.com/puzpuzpuz/xsync/v4",
		kind:   floor,
		open: func(src *source, _ terms) (cache, error) {
			return &xsyncCache{source: src, clock: floorClock{k, time.Now()}, entries: xsync.NewMap[string, *floorEntry]()}, nil
		},
	}
}

type xsyncCache struct {
	source  *source
	clock   floorClock
	entries *xsync.Map[string, *floorEntry]
}

func (c *xsyncCache) Get(ctx context.Context, key string) (string, error) {
	e, ok := c.entries.Load(key)
	if !ok {
		return c.miss(ctx, key)
	}
	if !c.clock.valid(e) {
		return "", errExpired
	}
	return e.text, nil
}

func (c *xsyncCache) miss(ctx context.Context, key string) (string, error) {
	e, err := c.clock.mint(ctx, c.source, key)
	if err != nil {
		return "", err
	}
	c.entries.Store(key, e)
	return e.text, nil
}

func (*xsyncCache) Close() error { return nil }
