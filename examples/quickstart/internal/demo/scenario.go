package demo

import (
	"net/http"
	"strconv"
	"time"

	"github.com/roomtoken/roomtoken/examples/quickstart/internal/format"
	"github.com/roomtoken/roomtoken/telnyx"
	"github.com/roomtoken/roomtoken/telnyx/telnyxtest"
)

// Duration is long enough for every fault and for the recovery from it.
const Duration = 62 * time.Second

// The scenario: tokens live 40 s, so they are renewed when they are 22 to 26 s old.
// Three rooms open at the start and three later, so that each fault meets renewals.
const (
	tokenTTL        = 40 * time.Second
	refreshTokenTTL = 60 * time.Second
	latency         = 100 * time.Millisecond // of every call

	secondGroup = 7 * time.Second // its renewals: 29 to 33 s after the start

	refusal    = 11 * time.Second
	slowCreate = 2 * time.Second // long enough to see callers wait

	revocation = 16 * time.Second // before the renewals of the first group

	outageStart = 27500 * time.Millisecond // before the renewals of the second group
	outage      = 6 * time.Second

	clockStep = 39 * time.Second // after the outage

	rateLimitStart = 43 * time.Second // before the second renewals of the first group, at 44 to 52 s
	rateLimit      = 5 * time.Second
	rateLimitEnd   = 53 * time.Second // at the latest
)

var scenarioRooms = []room{
	{"0ccc7b54-4df3-4bca-a65a-3da1ecc777f0", 0},
	{"9e2a0cbe-ce66-411e-a1ac-468f0b103c9a", 0},
	{"4b1f6d20-7c3e-4f0a-8a55-0d9c2e6f1b37", 0},
	{"c7d05e91-1a2b-4c8d-b6f3-95e07a4d8c12", secondGroup},
	{"2fa98c36-5e4d-4a17-9c02-b81d3f6e70a5", secondGroup},
	{"e60b14d8-93fa-4e5c-8d71-6a2c0f9b5e43", secondGroup},
}

// useEmbeddedAPI starts a Telnyx rooms API in this process and schedules its
// faults.
func (d *Demo) useEmbeddedAPI() {
	d.API = telnyxtest.NewServer(telnyxtest.Config{Clock: d.Clock})
	machine := &stepClock{Clock: d.Clock}
	d.Machine = machine
	d.Telnyx = telnyx.Config{
		BaseURL: d.API.URL, APIKey: d.API.APIKey, Clock: machine,
		TokenTTL: tokenTTL, RefreshTokenTTL: refreshTokenTTL,
	}
	d.apiName = "embedded API, 40 s tokens"
	d.rooms = scenarioRooms
	d.scenes = scenario(d.API, machine)
	d.API.Inject(telnyxtest.Fault{Latency: latency})
}

// scenario returns the scenes in the order of their start.
func scenario(api *telnyxtest.Server, machine *stepClock) []scene {
	victim, refused := scenarioRooms[1].id, scenarioRooms[2].id
	return []scene{
		{
			end:  3 * time.Second,
			text: "3 rooms open: the 5 callers of each room share one create call",
		},
		{
			start: secondGroup, end: secondGroup + 3*time.Second,
			text: "3 more rooms open",
		},
		{
			start: refusal, end: revocation, level: Warning,
			fault: "refused token: a caller invalidates it, and all wait for a slow create",
			text:  "room " + format.ShortID(refused) + " refuses its token: a caller invalidates it",
			play: func() {
				api.Inject(telnyxtest.Fault{On: telnyxtest.Create, Room: refused, Times: 1, Latency: slowCreate})
				api.RevokeTokens(refused)
			},
		},
		{
			start: revocation, end: outageStart, level: Warning,
			fault: "revoked refresh token: the renewal is a create",
			text:  "refresh token of room " + format.ShortID(victim) + " revoked",
			play:  func() { api.RevokeRefreshTokens(victim) },
		},
		{
			start: outageStart, end: outageStart + outage, level: Bad,
			fault: "outage of 6 s: renewals are retried",
			text:  "outage: the API answers 503 for 6 s",
			play:  func() { api.Inject(telnyxtest.Outage(outage)) },
		},
		{
			start: outageStart + outage, end: outageStart + outage + 5*time.Second,
			text: "outage over: renewals catch up, and no caller had to wait",
		},
		{
			start: clockStep, end: rateLimitStart, level: Warning,
			fault: "clock of this machine (simulated) set back 10 min: renewals stay on time",
			text:  "clock of this machine (simulated) set back 10 min",
			play:  func() { machine.set(-10 * time.Minute) },
		},
		{
			start: rateLimitStart, end: rateLimitEnd, level: Warning,
			fault: "rate limit of 5 s: renewals wait",
			text:  "rate limit: the next call gets a 429 with Retry-After: 5",
			play: func() {
				api.Inject(telnyxtest.Fault{
					Times: 1, Status: http.StatusTooManyRequests,
					Header: http.Header{"Retry-After": {strconv.Itoa(int(rateLimit.Seconds()))}},
				})
			},
		},
	}
}
