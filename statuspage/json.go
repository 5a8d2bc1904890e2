package statuspage

import (
	"encoding/json"
	"strconv"
	"strings"
	"time"

	"github.com/roomtoken/roomtoken"
)

// document is the page as JSON.
type document struct {
	GeneratedAt timestamp   `json:"generated_at"`
	Title       string      `json:"title"`
	Stats       statsJSON   `json:"stats"`
	States      stateCounts `json:"states"`
	History     []sample    `json:"history"`
	Rooms       []roomJSON  `json:"rooms"`
	Total       int         `json:"total"`    // rooms in memory
	Matching    int         `json:"matching"` // those that q and state let through
	Page        int         `json:"page"`
	Pages       int         `json:"pages"`
}

// statsJSON has the fields of roomtoken.Stats but its histograms, of which the history
// has quantiles.
type statsJSON struct {
	Rooms           int         `json:"rooms"`
	States          stateCounts `json:"states"`
	Misses          uint64      `json:"misses"`
	Creates         uint64      `json:"creates"`
	CreateFailures  uint64      `json:"create_failures"`
	Refreshes       uint64      `json:"refreshes"`
	RefreshFailures uint64      `json:"refresh_failures"`
	Fallbacks       uint64      `json:"fallbacks"`
	Invalidations   uint64      `json:"invalidations"`
	Evictions       uint64      `json:"evictions"`
	WaitFailures    uint64      `json:"wait_failures"`
	Lapses          uint64      `json:"lapses"`
	Waiters         int         `json:"waiters"`
	Watchers        int         `json:"watchers"`
	LastError       string      `json:"last_error"`
	LastErrorAt     timestamp   `json:"last_error_at"`
	LastSuccessAt   timestamp   `json:"last_success_at"`
	CallsInFlight   int         `json:"calls_in_flight"`
	CallsOverdue    int         `json:"calls_overdue"`
	CallsQueued     int         `json:"calls_queued"`
	HeldUntil       timestamp   `json:"held_until"`
	RateLimited     bool        `json:"rate_limited"`
	Probing         bool        `json:"probing"`
	Window          int         `json:"window"`
	StoreCalls      uint64      `json:"store_calls"`
	StoreFailures   uint64      `json:"store_failures"`
	Adopted         uint64      `json:"adopted"`
	LeasesLost      uint64      `json:"leases_lost"`
	StoreDown       bool        `json:"store_down"`
	EventsDropped   uint64      `json:"events_dropped"`
	ObserverPanics  uint64      `json:"observer_panics"`
}

// roomJSON has the fields of roomtoken.RoomStatus.
type roomJSON struct {
	RoomID           string    `json:"room_id"`
	State            string    `json:"state"`
	Fingerprint      string    `json:"fingerprint"`
	IssuedAt         timestamp `json:"issued_at"`
	ExpiresAt        timestamp `json:"expires_at"`
	LeftMS           int64     `json:"left_ms"` // expires_at less generated_at, at least 0
	RefreshExpiresAt timestamp `json:"refresh_expires_at"`
	HasRefreshToken  bool      `json:"has_refresh_token"`
	Generation       uint64    `json:"generation"`
	NextCall         callName  `json:"next_call"`
	NextCallAt       timestamp `json:"next_call_at"`
	InFlight         callName  `json:"in_flight"`
	Failures         int       `json:"failures"`
	FailingSince     timestamp `json:"failing_since"`
	LastFailure      callName  `json:"last_failure"`
	LastError        string    `json:"last_error"`
	LastUsed         timestamp `json:"last_used"`
	Waiters          int       `json:"waiters"`
	Watchers         int       `json:"watchers"`
}

// json returns the page as JSON.
func (v *view) json() ([]byte, error) {
	rooms := make([]roomJSON, len(v.rooms))
	for i := range v.rooms {
		rooms[i] = newRoomJSON(&v.rooms[i], v.now)
	}
	return json.Marshal(document{
		GeneratedAt: timestamp(v.now),
		Title:       v.title,
		Stats:       newStatsJSON(&v.stats),
		States:      v.stats.States,
		History:     v.history,
		Rooms:       rooms,
		Total:       v.total,
		Matching:    v.matching,
		Page:        v.query.page,
		Pages:       v.pages(),
	})
}

// jsonError returns the text of an error as JSON shows it: bytes that are no UTF-8 are
// U+FFFD before it is cut.
func jsonError(err error) string {
	text, _ := cutError(strings.ToValidUTF8(errorText(err), "\uFFFD"))
	return text
}

func newStatsJSON(s *roomtoken.Stats) statsJSON {
	lastError := jsonError(s.LastError)
	return statsJSON{
		Rooms:           s.Rooms,
		States:          s.States,
		Misses:          s.Misses,
		Creates:         s.Creates,
		CreateFailures:  s.CreateFailures,
		Refreshes:       s.Refreshes,
		RefreshFailures: s.RefreshFailures,
		Fallbacks:       s.Fallbacks,
		Invalidations:   s.Invalidations,
		Evictions:       s.Evictions,
		WaitFailures:    s.WaitFailures,
		Lapses:          s.Lapses,
		Waiters:         s.Waiters,
		Watchers:        s.Watchers,
		LastError:       lastError,
		LastErrorAt:     timestamp(s.LastErrorAt),
		LastSuccessAt:   timestamp(s.LastSuccessAt),
		CallsInFlight:   s.CallsInFlight,
		CallsOverdue:    s.CallsOverdue,
		CallsQueued:     s.CallsQueued,
		HeldUntil:       timestamp(s.HeldUntil),
		RateLimited:     s.RateLimited,
		Probing:         s.Probing,
		Window:          s.Window,
		StoreCalls:      s.StoreCalls,
		StoreFailures:   s.StoreFailures,
		Adopted:         s.Adopted,
		LeasesLost:      s.LeasesLost,
		StoreDown:       s.StoreDown,
		EventsDropped:   s.EventsDropped,
		ObserverPanics:  s.ObserverPanics,
	}
}

func newRoomJSON(r *roomtoken.RoomStatus, now time.Time) roomJSON {
	lastError := jsonError(r.LastError)
	return roomJSON{
		RoomID:           r.RoomID,
		State:            r.State.String(),
		Fingerprint:      r.Fingerprint,
		IssuedAt:         timestamp(r.IssuedAt),
		ExpiresAt:        timestamp(r.ExpiresAt),
		LeftMS:           left(r, now).Milliseconds(),
		RefreshExpiresAt: timestamp(r.RefreshExpiresAt),
		HasRefreshToken:  r.HasRefreshToken,
		Generation:       r.Generation,
		NextCall:         callName(r.NextCall),
		NextCallAt:       timestamp(r.NextCallAt),
		InFlight:         callName(r.InFlight),
		Failures:         r.Failures,
		FailingSince:     timestamp(r.FailingSince),
		LastFailure:      callName(r.LastFailure),
		LastError:        lastError,
		LastUsed:         timestamp(r.LastUsed),
		Waiters:          r.Waiters,
		Watchers:         r.Watchers,
	}
}

// timestamp is a time in RFC 3339 and UTC, of any year; null where it is zero.
type timestamp time.Time

func (t timestamp) MarshalJSON() ([]byte, error) {
	at := time.Time(t)
	if at.IsZero() {
		return []byte("null"), nil
	}
	return at.UTC().AppendFormat(nil, `"`+time.RFC3339Nano+`"`), nil
}

// millis is a duration in milliseconds.
type millis time.Duration

func (m millis) MarshalJSON() ([]byte, error) {
	return strconv.AppendFloat(nil, float64(m)/float64(time.Millisecond), 'f', -1, 64), nil
}

// callName is a call by its name; "" where there is none.
type callName roomtoken.CallKind

func (c callName) MarshalText() ([]byte, error) {
	if c == 0 {
		return nil, nil
	}
	return roomtoken.CallKind(c).MarshalText()
}

// stateCounts is how many rooms are in each state, by its name.
type stateCounts [roomtoken.RoomStuck + 1]int

func (counts stateCounts) MarshalJSON() ([]byte, error) {
	b := []byte{'{'}
	for state := roomtoken.RoomEmpty; state <= roomtoken.RoomStuck; state++ {
		if state > roomtoken.RoomEmpty {
			b = append(b, ',')
		}
		b = strconv.AppendQuote(b, state.String())
		b = append(b, ':')
		b = strconv.AppendInt(b, int64(counts[state]), 10)
	}
	return append(b, '}'), nil
}
