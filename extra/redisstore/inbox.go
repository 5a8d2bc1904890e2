package redisstore

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"slices"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/roomtoken/roomtoken"
)

// inbox is the channel on which a Store hears that leases have ended. It is subscribed to
// while somebody listens: all calls of Wake share one subscription.
type inbox struct {
	store *Store
	name  string // 16 characters; the channel's name ends with it

	// After a silence of so long it sends itself a message. If that does not come in the
	// time of patience, it subscribes anew. Together they are less than the 10 s that a
	// [roomtoken.Waker] promises.
	silence, patience time.Duration

	mu        sync.Mutex
	listeners []*listener
	feed      *feed     // nil without listeners, and once it has failed
	heardAt   time.Time // when the feed received a message last
}

func newInbox(s *Store) *inbox {
	var random [8]byte
	_, _ = rand.Read(random[:]) // never fails
	return &inbox{store: s, name: hex.EncodeToString(random[:]), silence: 7 * time.Second, patience: 2 * time.Second}
}

// channel returns the name of the Pub/Sub channel.
func (b *inbox) channel() string { return b.store.boxes() + b.name }

// listener is a call of Wake.
type listener struct {
	mu   sync.Mutex
	wake func(roomID string, record roomtoken.Record) // nil: it has returned
}

func (l *listener) call(roomID string, record roomtoken.Record) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.wake != nil {
		l.wake(roomID, record)
	}
}

// Wake implements [roomtoken.Waker]. All calls of it share one subscription, which has a
// connection of its own. It goes on while the server is away, and returns an error if the
// server does not let this user subscribe or publish.
func (s *Store) Wake(ctx context.Context, wake func(roomID string, record roomtoken.Record)) error {
	l := &listener{wake: wake}
	f := s.inbox.join(l)
	defer s.inbox.leave(l)
	if s.inbox.heard() != "" {
		l.call("", roomtoken.Record{})
	}
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-f.done:
		return f.err
	}
}

// heard returns the name of the inbox, "" while it is not known that messages arrive.
func (b *inbox) heard() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.feed == nil || b.heardAt.IsZero() || time.Since(b.heardAt) > b.silence+b.patience {
		return ""
	}
	return b.name
}

// join adds a listener. The first one starts the feed.
func (b *inbox) join(l *listener) *feed {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.listeners = append(b.listeners, l)
	if b.feed == nil {
		b.heardAt = time.Time{}
		b.feed = newFeed(b)
	}
	return b.feed
}

// farewell is how long a feed has to end.
const farewell = 100 * time.Millisecond

// leave removes a listener, which is called no more. The last one stops the feed, and waits
// for its end, but not for a client that waits for a server that hangs.
func (b *inbox) leave(l *listener) {
	l.mu.Lock()
	l.wake = nil
	l.mu.Unlock()

	b.mu.Lock()
	b.listeners = slices.DeleteFunc(b.listeners, func(other *listener) bool { return other == l })
	var last *feed
	if len(b.listeners) == 0 {
		last, b.feed = b.feed, nil
	}
	b.mu.Unlock()
	if last != nil {
		last.stop()
		select {
		case <-last.done:
		case <-time.After(farewell):
		}
	}
}

// failed removes a feed that has ended by itself.
func (b *inbox) failed(f *feed) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.feed == f {
		b.feed = nil
	}
}

// received tells all listeners of a message.
func (b *inbox) received(payload string) {
	b.mu.Lock()
	b.heardAt = time.Now()
	listeners := slices.Clone(b.listeners)
	b.mu.Unlock()
	roomID, record := b.store.message(payload)
	for _, l := range listeners {
		l.call("", roomtoken.Record{})
		if roomID != "" {
			l.call(roomID, record)
		}
	}
}

// refused reports whether the server does not let the user do something.
func refused(err error) bool {
	return redis.HasErrorPrefix(err, "NOPERM") || redis.HasErrorPrefix(err, "NOAUTH") || redis.HasErrorPrefix(err, "WRONGPASS")
}
