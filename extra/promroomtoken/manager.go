package promroomtoken

import (
	"github.com/prometheus/client_golang/prometheus"

	"github.com/roomtoken/roomtoken"
)

// NewCollector returns a collector of the metrics of a Manager, whose names begin with
// roomtoken_. It goes on after Manager.Close. A nil manager panics.
func NewCollector(manager *roomtoken.Manager) prometheus.Collector {
	if manager == nil {
		panic("promroomtoken: NewCollector with a nil Manager")
	}
	return newCollector(manager.Stats)
}

func newCollector(stats func() roomtoken.Stats) prometheus.Collector {
	return &collector[roomtoken.Stats]{stats, managerFamilies}
}

var (
	create  = roomtoken.CallCreate.String()
	refresh = roomtoken.CallRefresh.String()
)

var managerFamilies = []family[roomtoken.Stats]{
	newFamily("rooms", "Rooms in memory, by state.", []string{"state"}, rooms),
	newFamily("calls_total", "Calls to the source that have begun.", []string{"call"}, calls),
	newFamily("call_duration_seconds", "How long calls to the source took that have ended.",
		[]string{"call", "outcome"}, callDurations),
	gauge("calls_in_flight", "Calls to the source that have not returned.",
		func(s roomtoken.Stats) float64 { return float64(s.CallsInFlight) }),
	gauge("calls_overdue", "Calls in flight whose CallTimeout has passed.",
		func(s roomtoken.Stats) float64 { return float64(s.CallsOverdue) }),
	gauge("calls_queued", "Calls that wait for a slot or the end of a hold.",
		func(s roomtoken.Stats) float64 { return float64(s.CallsQueued) }),
	counter("fallbacks_total", "Creates that took the place of a refresh.",
		func(s roomtoken.Stats) uint64 { return s.Fallbacks }),

	counter("misses_total", "Requests that found no token to hand out at once.",
		func(s roomtoken.Stats) uint64 { return s.Misses }),
	counter("wait_failures_total", "Requests that waited and got no token.",
		func(s roomtoken.Stats) uint64 { return s.WaitFailures }),
	histogram("wait_duration_seconds", "How long requests waited that found no token at once.",
		func(s roomtoken.Stats) roomtoken.Histogram { return s.Waits }),

	histogram("renewal_slack_seconds", "For how long the token before would still have been handed out when a new one came.",
		func(s roomtoken.Stats) roomtoken.Histogram { return s.Slack }),
	counter("lapses_total", "Tokens that came too late: a room in use was without one.",
		func(s roomtoken.Stats) uint64 { return s.Lapses }),
	counter("invalidations_total", "Tokens that were dropped because a server refused them.",
		func(s roomtoken.Stats) uint64 { return s.Invalidations }),
	counter("evictions_total", "Rooms that were dropped because they were idle or too many.",
		func(s roomtoken.Stats) uint64 { return s.Evictions }),

	gauge("held_until_timestamp_seconds", "When the hold on calls ends, in seconds since 1970; 0: nothing is held.",
		func(s roomtoken.Stats) float64 { return timestamp(s.HeldUntil) }),
	gauge("rate_limited", "1 while a rate limit is in force, else 0.",
		func(s roomtoken.Stats) float64 { return yes(s.RateLimited) }),
	gauge("probing", "1 while one call at a time finds out if the source answers again, accepts its credential, or a rate limit is over; else 0.",
		func(s roomtoken.Stats) float64 { return yes(s.Probing) }),

	gauge("store_down", "1 while the Store does not answer and the process is on its own, else 0.",
		func(s roomtoken.Stats) float64 { return yes(s.StoreDown) }),
	counter("store_calls_total", "Calls of the Store that have begun.",
		func(s roomtoken.Stats) uint64 { return s.StoreCalls }),
	counter("store_failures_total", "Calls of the Store that failed or were given up at StoreTimeout.",
		func(s roomtoken.Stats) uint64 { return s.StoreFailures }),
	counter("adopted_total", "Tokens that another process got.",
		func(s roomtoken.Stats) uint64 { return s.Adopted }),
	counter("leases_lost_total", "Tokens that the Store refused because another process had got one meanwhile.",
		func(s roomtoken.Stats) uint64 { return s.LeasesLost }),

	counter("events_dropped_total", "Events that were lost because OnEvent or the Logger was too slow.",
		func(s roomtoken.Stats) uint64 { return s.EventsDropped }),
	counter("observer_panics_total", "Panics of OnEvent or the Logger.",
		func(s roomtoken.Stats) uint64 { return s.ObserverPanics }),
}

func rooms(desc *prometheus.Desc, s roomtoken.Stats) (samples []prometheus.Metric) {
	for state := roomtoken.RoomEmpty; state <= roomtoken.RoomStuck; state++ {
		n := float64(s.States[state])
		samples = append(samples, prometheus.MustNewConstMetric(desc, prometheus.GaugeValue, n, state.String()))
	}
	return samples
}

func calls(desc *prometheus.Desc, s roomtoken.Stats) []prometheus.Metric {
	return []prometheus.Metric{
		count(desc, s.Creates, create),
		count(desc, s.Refreshes, refresh),
	}
}

func callDurations(desc *prometheus.Desc, s roomtoken.Stats) []prometheus.Metric {
	return []prometheus.Metric{
		durations(desc, s.CreateTimes, create, "ok"),
		durations(desc, s.CreateFailureTimes, create, "error"),
		durations(desc, s.RefreshTimes, refresh, "ok"),
		durations(desc, s.RefreshFailureTimes, refresh, "error"),
	}
}
