package main

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"

	"github.com/roomtoken/roomtoken"
	"github.com/roomtoken/roomtoken/extra/redisstore"
)

// settings says how a process takes part in a fleet.
type settings struct {
	Addr, Prefix string
	Latency      time.Duration // of the source
	Callers      int
	StoreTimeout time.Duration
}

// process is a Manager with a store and a client of its own, as in a process of its own.
type process struct {
	*roomtoken.Manager
	client *redis.Client
	store  *redisstore.Store
}

// newClient returns a client as a service has it, with at most so many connections; 0: as
// many as it has by default. t may be nil.
func newClient(addr string, t *traffic, connections int) *redis.Client {
	options := &redis.Options{
		Addr: addr, ContextTimeoutEnabled: true, PoolSize: connections,
		// This server has none, which the client would log.
		MaintNotificationsConfig: &maintnotifications.Config{Mode: maintnotifications.ModeDisabled},
	}
	if t != nil {
		options.Dialer = t.dial
	}
	return redis.NewClient(options)
}

func newStore(client *redis.Client, prefix string) (*redisstore.Store, error) {
	return redisstore.New(client, redisstore.Config{Prefix: prefix, EncryptionKeys: [][]byte{[]byte("0123456789abcdef0123456789abcdef")}})
}

func startProcess(s settings, t *traffic, src roomtoken.TokenSource, config roomtoken.Config) (*process, error) {
	client := newClient(s.Addr, t, 0)
	store, err := newStore(client, s.Prefix)
	if err != nil {
		return nil, errors.Join(err, client.Close())
	}
	config.Store, config.StoreTimeout = store, s.StoreTimeout
	m, err := roomtoken.NewManager(src, config)
	if err != nil {
		return nil, errors.Join(err, client.Close())
	}
	return &process{m, client, store}, nil
}

func (p *process) close() error { return errors.Join(p.Close(), p.client.Close()) }

// settings returns those of a new fleet.
func (b *bench) settings() settings {
	return settings{Addr: b.server.addr, Prefix: b.prefix(), StoreTimeout: b.sizes.storeTimeout}
}

// startFleet starts several processes on one source.
func startFleet(n int, s settings, t *traffic, src roomtoken.TokenSource, config roomtoken.Config) (fleet []*process, err error) {
	for range n {
		p, err := startProcess(s, t, src, config)
		if err != nil {
			return nil, errors.Join(err, closeAll(fleet))
		}
		fleet = append(fleet, p)
	}
	return fleet, nil
}

func closeAll(fleet []*process) (err error) {
	for _, p := range fleet {
		err = errors.Join(err, p.close())
	}
	return err
}

// fill gives each room a record.
func fill(ctx context.Context, s roomtoken.Store, roomIDs []string, size int) error {
	return each(ctx, len(roomIDs), func(ctx context.Context, i int) error {
		l, err := lease(ctx, s, roomIDs[i], 0)
		if err != nil {
			return err
		}
		return commit(ctx, s, l, size)
	})
}

// lease gets the lease of a room whose record is at most of that version.
func lease(ctx context.Context, s roomtoken.Store, roomID string, version uint64) (roomtoken.Lease, error) {
	e, err := s.Acquire(ctx, roomtoken.Ask{RoomID: roomID, ID: "fill-" + roomID, Newer: version, TTL: time.Minute})
	if err == nil && e.Lease.IsZero() {
		err = fmt.Errorf("no lease for room %s: %+v", roomID, e)
	}
	return e.Lease, err
}

// commit ends a lease with a record whose tokens have that size.
func commit(ctx context.Context, s roomtoken.Store, l roomtoken.Lease, size int) error {
	c, err := s.Commit(ctx, l, roomtoken.Result{Record: roomtoken.Record{
		Version: version(l), Began: l.Granted,
		Token: pad("token-"+l.RoomID, size), Lifetime: time.Hour,
		RefreshToken: pad("refresh-"+l.RoomID, size), RefreshLifetime: 24 * time.Hour,
		RenewAge: 40 * time.Minute, HandOutAge: 59 * time.Minute,
	}})
	if err == nil && !c.Taken {
		err = fmt.Errorf("the record of room %s was not taken", l.RoomID)
	}
	return err
}

// version returns the version of the record that a lease ends with.
func version(l roomtoken.Lease) uint64 { return max(l.Version+1, uint64(max(l.Granted, 0))) }

const connections = 50

// each calls do for 0 to n-1, from as many goroutines as there are connections.
func each(ctx context.Context, n int, do func(ctx context.Context, i int) error) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var running sync.WaitGroup
	for first := range connections {
		running.Go(func() {
			for i := first; i < n && ctx.Err() == nil; i += connections {
				if err := do(ctx, i); err != nil {
					cancel(err)
				}
			}
		})
	}
	running.Wait()
	return context.Cause(ctx)
}

// wait waits until a duration has passed or ctx has ended.
func wait(ctx context.Context, d time.Duration) error {
	select {
	case <-time.After(d):
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
