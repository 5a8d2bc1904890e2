// Package demo provides the environment of the quick start: an API that fails on
// schedule, callers and watchers, and the counts of what they see.
package demo

import (
	"context"
	"sync"
	"time"

	"github.com/benbjohnson/clock"

	"github.com/roomtoken/roomtoken"
	"github.com/roomtoken/roomtoken/telnyx"
	"github.com/roomtoken/roomtoken/telnyx/telnyxtest"
)

const (
	// callersPerRoom is the number of callers of each room.
	callersPerRoom = 5

	// refreshInterval is how often the view is updated.
	refreshInterval = 200 * time.Millisecond
)

// Config describes a run.
type Config struct {
	// Rooms are rooms on Telnyx. Defaults to the embedded API and its own rooms.
	Rooms []string

	// Duration of the run. Defaults to no limit.
	Duration time.Duration

	// CallInterval is the mean time between two calls of a caller. Defaults to 60 ms.
	CallInterval time.Duration

	// Clock defaults to the real one.
	Clock clock.Clock
}

// Demo is one run of the quick start.
type Demo struct {
	Clock   clock.Clock        // of the callers and the API
	Machine clock.Clock        // of the Manager and its source: its wall clock may be set
	Telnyx  telnyx.Config      // how to reach the API
	API     *telnyxtest.Server // the embedded API; nil on Telnyx

	config    Config
	apiName   string
	rooms     []room
	scenes    []scene
	events    eventLog
	counter   counter
	started   time.Time
	took      time.Duration
	stats     roomtoken.Stats
	roomError error // the last error of some room
}

// room is a room and the time at which its callers arrive.
type room struct {
	id    string
	opens time.Duration // since the start
}

// Service is what a user of roomtoken writes. Both methods run until ctx ends.
type Service interface {
	Call(ctx context.Context, room string)  // get tokens again and again
	Watch(ctx context.Context, room string) // receive each new token
}

// View shows the progress of a run.
type View interface {
	Draw(Snapshot)
	Close()
}

// New prepares a run. Close releases its resources.
func New(config Config) *Demo {
	if config.CallInterval == 0 {
		config.CallInterval = 60 * time.Millisecond
	}
	if config.Clock == nil {
		config.Clock = clock.New()
	}
	d := &Demo{Clock: config.Clock, Machine: config.Clock, config: config}
	if len(config.Rooms) == 0 {
		d.useEmbeddedAPI()
		return d
	}
	d.apiName = "Telnyx"
	for _, id := range config.Rooms {
		d.rooms = append(d.rooms, room{id: id})
	}
	return d
}

// Close stops the embedded API, if there is one.
func (d *Demo) Close() {
	if d.API != nil {
		d.API.Close()
	}
}

// OnEvent records an event of the Manager.
func (d *Demo) OnEvent(e roomtoken.Event) { d.events.record(e, d.Clock.Now()) }

// Run runs the service until ctx ends or the time is up, and closes the view.
func (d *Demo) Run(ctx context.Context, manager *roomtoken.Manager, service Service, view View) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	d.started = d.Clock.Now()

	var running sync.WaitGroup
	for _, r := range d.rooms {
		for range callersPerRoom {
			running.Go(func() {
				d.pause(ctx, r.opens)
				service.Call(ctx, r.id)
			})
		}
		running.Go(func() {
			d.pause(ctx, r.opens)
			service.Watch(ctx, r.id)
		})
	}
	running.Go(func() { d.playScenes(ctx) })
	if d.config.Duration > 0 {
		running.Go(func() {
			d.pause(ctx, d.config.Duration)
			cancel()
		})
	}

	d.show(ctx, manager, view)
	running.Wait()
	d.finish(manager)
}

// show updates the view until ctx ends.
func (d *Demo) show(ctx context.Context, manager *roomtoken.Manager, view View) {
	defer view.Close()
	for ctx.Err() == nil {
		view.Draw(d.snapshot(manager))
		d.pause(ctx, refreshInterval)
	}
	view.Draw(d.snapshot(manager))
}

// pause waits for duration, or until ctx ends. It uses AfterFunc because the
// timers of a clock.Mock can deadlock when several goroutines create them.
func (d *Demo) pause(ctx context.Context, duration time.Duration) {
	ctx, wake := context.WithCancel(ctx)
	defer wake()
	timer := d.Clock.AfterFunc(duration, wake)
	defer timer.Stop()
	<-ctx.Done()
}
