package otelroomtoken

import (
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"

	"github.com/roomtoken/roomtoken"
)

// number is an instrument for numbers of [roomtoken.Stats].
type number struct {
	name, unit, description string
	changes                 bool // up and down; else it only grows
	values                  func(roomtoken.Stats) []value
}

// value is what an instrument shows for one set of attributes.
type value struct {
	n          int64
	attributes []attribute.KeyValue
}

// instrument creates the instrument.
func (n *number) instrument(meter metric.Meter) (metric.Int64Observable, error) {
	if n.changes {
		return meter.Int64ObservableUpDownCounter(n.name, metric.WithUnit(n.unit), metric.WithDescription(n.description))
	}
	return meter.Int64ObservableCounter(n.name, metric.WithUnit(n.unit), metric.WithDescription(n.description))
}

var numbers = []number{
	{
		name: "roomtoken.rooms", unit: "{room}", changes: true,
		description: "Rooms in memory, by state.",
		values:      rooms,
	},
	{
		name: "roomtoken.calls", unit: "{call}",
		description: "Calls to the source that have begun.",
		values:      func(s roomtoken.Stats) []value { return byCall(s.Creates, s.Refreshes) },
	},
	{
		name: "roomtoken.call.failures", unit: "{call}",
		description: "Calls to the source that ended without a token.",
		values:      func(s roomtoken.Stats) []value { return byCall(s.CreateFailures, s.RefreshFailures) },
	},
	{
		name: "roomtoken.call.active", unit: "{call}", changes: true,
		description: "Calls to the source that have not returned.",
		values:      func(s roomtoken.Stats) []value { return one(s.CallsInFlight) },
	},
	{
		name: "roomtoken.call.overdue", unit: "{call}", changes: true,
		description: "Active calls whose CallTimeout has passed.",
		values:      func(s roomtoken.Stats) []value { return one(s.CallsOverdue) },
	},
	{
		name: "roomtoken.call.queued", unit: "{call}", changes: true,
		description: "Calls that wait for a slot or the end of a hold.",
		values:      func(s roomtoken.Stats) []value { return one(s.CallsQueued) },
	},
	{
		name: "roomtoken.fallbacks", unit: "{call}",
		description: "Creates that took the place of a refresh.",
		values:      func(s roomtoken.Stats) []value { return one(s.Fallbacks) },
	},
	{
		name: "roomtoken.misses", unit: "{request}",
		description: "Requests that found no token to hand out at once.",
		values:      func(s roomtoken.Stats) []value { return one(s.Misses) },
	},
	{
		name: "roomtoken.wait.failures", unit: "{request}",
		description: "Requests that waited and got no token.",
		values:      func(s roomtoken.Stats) []value { return one(s.WaitFailures) },
	},
	{
		name: "roomtoken.lapses", unit: "{token}",
		description: "Tokens that came too late: a room in use was without one.",
		values:      func(s roomtoken.Stats) []value { return one(s.Lapses) },
	},
	{
		name: "roomtoken.invalidations", unit: "{token}",
		description: "Tokens that were dropped because a server refused them.",
		values:      func(s roomtoken.Stats) []value { return one(s.Invalidations) },
	},
	{
		name: "roomtoken.evictions", unit: "{room}",
		description: "Rooms that were dropped because they were idle or too many.",
		values:      func(s roomtoken.Stats) []value { return one(s.Evictions) },
	},
	{
		name: "roomtoken.store.down", unit: "{process}", changes: true,
		description: "Processes whose Store does not answer and which are on their own.",
		values:      func(s roomtoken.Stats) []value { return one(yes(s.StoreDown)) },
	},
	{
		name: "roomtoken.store.calls", unit: "{call}",
		description: "Calls of the Store that have begun.",
		values:      func(s roomtoken.Stats) []value { return one(s.StoreCalls) },
	},
	{
		name: "roomtoken.store.failures", unit: "{call}",
		description: "Calls of the Store that failed or were given up at StoreTimeout.",
		values:      func(s roomtoken.Stats) []value { return one(s.StoreFailures) },
	},
	{
		name: "roomtoken.adopted", unit: "{token}",
		description: "Tokens that another process got.",
		values:      func(s roomtoken.Stats) []value { return one(s.Adopted) },
	},
	{
		name: "roomtoken.leases.lost", unit: "{token}",
		description: "Tokens that the Store refused because another process had got one meanwhile.",
		values:      func(s roomtoken.Stats) []value { return one(s.LeasesLost) },
	},
	{
		name: "roomtoken.events.dropped", unit: "{event}",
		description: "Events that were lost because OnEvent or the Logger was too slow.",
		values:      func(s roomtoken.Stats) []value { return one(s.EventsDropped) },
	},
	{
		name: "roomtoken.observer.panics", unit: "{panic}",
		description: "Panics of OnEvent or the Logger.",
		values:      func(s roomtoken.Stats) []value { return one(s.ObserverPanics) },
	},
}

func rooms(s roomtoken.Stats) (values []value) {
	for state := roomtoken.RoomEmpty; state <= roomtoken.RoomStuck; state++ {
		values = append(values, value{int64(s.States[state]), []attribute.KeyValue{stateKey.String(state.String())}})
	}
	return values
}

func byCall(creates, refreshes uint64) []value {
	return []value{
		{int64(creates), []attribute.KeyValue{callKey.String(roomtoken.CallCreate.String())}},
		{int64(refreshes), []attribute.KeyValue{callKey.String(roomtoken.CallRefresh.String())}},
	}
}

// yes returns 1 for true and 0 for false.
func yes(b bool) int {
	if b {
		return 1
	}
	return 0
}

func one[N int | uint64](n N) []value { return []value{{n: int64(n)}} }
