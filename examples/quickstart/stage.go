package main

import (
	"cmp"
	"context"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/benbjohnson/clock"

	"github.com/roomtoken/roomtoken"
	"github.com/roomtoken/roomtoken/telnyx"
	"github.com/roomtoken/roomtoken/telnyx/telnyxtest"
)

// stage is where a run takes place: an API, rooms, and those who ask for them.
type stage struct {
	clock  clock.Clock
	where  string             // the API, in words
	telnyx telnyx.Config      // how to reach it
	api    *telnyxtest.Server // the API in this process; nil: Telnyx
	rooms  []room
	scenes []scene       // what goes wrong, and when
	length time.Duration // 0: until the ctx ends

	callers          int           // of each room
	minRest, maxRest time.Duration // of a caller between two questions

	journal journal
	tally   tally

	// Set by perform.
	started   time.Time
	took      time.Duration
	stats     roomtoken.Stats
	lastError error // of a room that has failed last
}

// room is a room and when its callers come.
type room struct {
	id    string
	opens time.Duration // from the start
}

// newStage returns the stage that the options ask for; close clears it.
func newStage(o options, clk clock.Clock) *stage {
	s := &stage{
		clock:   clk,
		length:  o.length,
		callers: 5,
		minRest: 20 * time.Millisecond,
		maxRest: 100 * time.Millisecond,
	}
	if o.apiKey == "" {
		s.useDemoAPI()
		return s
	}
	s.where = "Telnyx"
	s.telnyx = telnyx.Config{} // the key is in TELNYX_API_KEY
	for _, id := range o.rooms {
		s.rooms = append(s.rooms, room{id: id})
	}
	return s
}

func (s *stage) close() {
	if s.api != nil {
		s.api.Close()
	}
}

// perform lets everybody do their work until ctx ends or the time is up, and
// shows it.
func (s *stage) perform(ctx context.Context, manager *roomtoken.Manager, show view) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	s.started = s.clock.Now()

	var everybody sync.WaitGroup
	for _, r := range s.rooms {
		for range s.callers {
			everybody.Go(func() {
				s.pause(ctx, r.opens)
				s.caller(ctx, manager, r.id)
			})
		}
		everybody.Go(func() {
			s.pause(ctx, r.opens)
			s.watcher(ctx, manager, r.id)
		})
	}
	everybody.Go(func() { s.playScenes(ctx) })
	if s.length > 0 {
		everybody.Go(func() {
			s.pause(ctx, s.length)
			cancel()
		})
	}

	show(ctx, s.clock, func() snapshot { return s.look(manager) })
	everybody.Wait()
	s.took, s.stats = s.clock.Since(s.started), manager.Stats()
	for status := range manager.Rooms() {
		s.lastError = cmp.Or(status.LastError, s.lastError)
	}
}

// pause waits for d, or until ctx ends.
func (s *stage) pause(ctx context.Context, d time.Duration) {
	timer := s.clock.Timer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}

// rest is a caller's pause. A caller who could not be served comes back later.
func (s *stage) rest(ctx context.Context, err error) {
	d := s.minRest + rand.N(s.maxRest-s.minRest)
	if err != nil {
		d += time.Second
	}
	s.pause(ctx, d)
}

// checkOneIn is how many tokens a caller gets for each that it checks.
const checkOneIn = 20

// count notes what came of a call of Token, and has the API check the token now
// and then.
func (s *stage) count(ctx context.Context, room string, tok roomtoken.Token, err error, took time.Duration) {
	switch {
	case err == nil:
		s.tally.answered(room, took)
		if rand.N(checkOneIn) == 0 {
			s.check(room, tok)
		}
	case ctx.Err() == nil: // at the end of the run everybody leaves
		s.tally.failed(err)
	}
}

// updateClientToken is where a participant hands a token to its connection.
func (s *stage) updateClientToken(room string, tok roomtoken.Token) {
	s.tally.pushed()
	s.check(room, tok)
}

// check asks the API in this process whether it would let somebody in with the
// token. Telnyx has no such call.
func (s *stage) check(room string, tok roomtoken.Token) {
	if s.api != nil {
		s.tally.checked(s.api.Verify(room, tok.Value.Reveal()))
	}
}
