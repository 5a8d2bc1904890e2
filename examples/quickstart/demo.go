package main

import (
	"context"
	"fmt"
	"net/http"
	"strconv"
	"time"

	"github.com/roomtoken/roomtoken/telnyx"
	"github.com/roomtoken/roomtoken/telnyx/telnyxtest"
)

// The demonstration: tokens live 40 s, so they are renewed 22 to 26 s after they
// came. Three rooms open at once and three a little later, so that each fault
// below meets renewals.
const (
	demoTokenTTL   = 40 * time.Second
	demoRefreshTTL = 60 * time.Second
	demoLatency    = 100 * time.Millisecond // of every call

	secondWave = 7 * time.Second // renewed 29 to 33 s after the start

	revokedAt = 12 * time.Second // before the first wave is renewed

	outageAt = 27500 * time.Millisecond // the second wave is renewed in it
	outage   = 6 * time.Second

	limitAt    = 43 * time.Second // before the first wave is renewed again, 44 to 52 s after the start
	limit      = 5 * time.Second
	limitAfter = 53 * time.Second // by then it is over
)

var demoRooms = []room{
	{"0ccc7b54-4df3-4bca-a65a-3da1ecc777f0", 0},
	{"9e2a0cbe-ce66-411e-a1ac-468f0b103c9a", 0},
	{"4b1f6d20-7c3e-4f0a-8a55-0d9c2e6f1b37", 0},
	{"c7d05e91-1a2b-4c8d-b6f3-95e07a4d8c12", secondWave},
	{"2fa98c36-5e4d-4a17-9c02-b81d3f6e70a5", secondWave},
	{"e60b14d8-93fa-4e5c-8d71-6a2c0f9b5e43", secondWave},
}

// useDemoAPI starts a Telnyx rooms API in this process and plans its bad day.
func (s *stage) useDemoAPI() {
	s.api = telnyxtest.NewServer(telnyxtest.Config{Clock: s.clock})
	s.telnyx = telnyx.Config{
		BaseURL: s.api.URL, APIKey: s.api.APIKey, Clock: s.clock,
		TokenTTL: demoTokenTTL, RefreshTokenTTL: demoRefreshTTL,
	}
	s.where = "embedded API, 40 s tokens"
	s.rooms = demoRooms
	s.scenes = s.demoScenes()
	s.api.Inject(telnyxtest.Fault{Latency: demoLatency})
}

func (s *stage) demoScenes() []scene {
	victim := demoRooms[1].id
	return []scene{
		{
			until: 3 * time.Second,
			says:  "3 rooms open: the 5 callers of each share one create",
		},
		{
			at: secondWave, until: secondWave + 3*time.Second,
			says: "3 more rooms open",
		},
		{
			at: revokedAt, until: outageAt, mood: warning,
			fault: "revoked refresh token",
			says:  "the refresh token of " + short(victim) + " is revoked",
			play:  func() { s.api.RevokeRefreshTokens(victim) },
		},
		{
			at: outageAt, until: outageAt + outage, mood: alarm,
			fault: "6 s outage",
			says:  "outage: the API answers 503 for 6 s",
			play:  func() { s.api.Inject(telnyxtest.Outage(outage)) },
		},
		{
			at: outageAt + outage, until: outageAt + outage + 5*time.Second,
			says: "the API is back: the renewals catch up, nobody has waited",
		},
		{
			at: limitAt, until: limitAfter, mood: warning,
			fault: "5 s rate limit",
			says:  "rate limit: the next call gets 429 with Retry-After 5",
			play: func() {
				s.api.Inject(telnyxtest.Fault{
					Times: 1, Status: http.StatusTooManyRequests,
					Header: http.Header{"Retry-After": {strconv.Itoa(int(limit.Seconds()))}},
				})
			},
		},
	}
}

// scene is a time of the run with something to say about it.
type scene struct {
	at, until time.Duration // from the start
	mood      mood
	says      string
	fault     string // its name in the summary
	play      func() // nil: nothing happens, it is only said
}

// playScenes plays each scene at its time.
func (s *stage) playScenes(ctx context.Context) {
	for _, sc := range s.scenes {
		s.pause(ctx, sc.at-s.clock.Since(s.started))
		if ctx.Err() != nil {
			return
		}
		if sc.play != nil {
			sc.play()
			s.tally.injected(sc.fault)
			s.journal.note(s.clock.Now(), sc.says, sc.mood)
		}
	}
}

// scene returns what is said of this time of the run, "" if nothing.
func (s *stage) scene(elapsed time.Duration) (string, mood) {
	for _, sc := range s.scenes {
		switch {
		case elapsed < sc.at || elapsed >= sc.until:
		case sc.mood == alarm:
			return fmt.Sprintf("%s, %s to go", sc.says, seconds(sc.until-elapsed)), alarm
		default:
			return sc.says, sc.mood
		}
	}
	return "", neutral
}
