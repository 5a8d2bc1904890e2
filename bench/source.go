package main

import (
	"context"
	"errors"
	"sync/atomic"
	"time"
)

// token is a token of a source.
type token struct {
	text    string
	issued  time.Time
	expires time.Time
}

// tokenText is the text of every token. It is shared, so that the heap per key does
// not include it.
const tokenText = "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.a-token-of-the-benchmarks.0123456789abcdef"

var errDown = errors.New("the source is down")

// source mints the tokens of all contenders. It counts calls, and can be slow or
// down. Like an HTTP client it observes the ctx of a call.
type source struct {
	latency time.Duration // of every call

	down     atomic.Bool
	issuance atomic.Pointer[issuance]

	calls    atomic.Int64 // started
	answers  atomic.Int64 // tokens minted
	answered atomic.Int64 // when the first token was minted, in nanoseconds since base
	base     time.Time
}

// issuance describes the tokens that a source mints.
type issuance struct {
	issued   time.Time // zero: when the call started
	lifetime time.Duration
}

func newSource(latency, lifetime time.Duration) *source {
	s := &source{latency: latency, base: time.Now()}
	s.issuance.Store(&issuance{lifetime: lifetime})
	return s
}

// mint is a call to the source, for any key.
func (s *source) mint(ctx context.Context, _ string) (token, error) {
	s.calls.Add(1)
	began := time.Now()
	if s.latency > 0 {
		timer := time.NewTimer(s.latency)
		defer timer.Stop()
		select {
		case <-timer.C:
		case <-ctx.Done():
			return token{}, ctx.Err()
		}
	}
	if s.down.Load() {
		return token{}, errDown
	}
	i := s.issuance.Load()
	issued := i.issued
	if issued.IsZero() {
		issued = began
	}
	if s.answers.Add(1) == 1 {
		s.answered.Store(int64(time.Since(s.base)))
	}
	return token{text: tokenText, issued: issued, expires: issued.Add(i.lifetime)}, nil
}

// firstAnswer returns when the first token was minted.
func (s *source) firstAnswer() time.Time { return s.base.Add(time.Duration(s.answered.Load())) }
