package redisstore

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strconv"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/roomtoken/roomtoken"
)

// feed is the goroutine that receives the messages of an inbox.
type feed struct {
	inbox *inbox
	stop  context.CancelFunc
	done  chan struct{} // closed when it has ended
	err   error         // then: why it could not go on
}

func newFeed(b *inbox) *feed {
	ctx, stop := context.WithCancel(context.Background())
	f := &feed{inbox: b, stop: stop, done: make(chan struct{})}
	go f.run(ctx)
	return f
}

// run receives messages until ctx ends or the server refuses. While the server is away, and
// when no message arrives, it subscribes again and again, each time on another connection.
func (f *feed) run(ctx context.Context) {
	defer close(f.done)
	for ctx.Err() == nil {
		if err := f.receive(ctx); refused(err) {
			f.err = fmt.Errorf("redisstore: %w", err)
			f.inbox.failed(f)
			return
		}
		select {
		case <-ctx.Done():
		case <-time.After(f.inbox.patience):
		}
	}
}

// errSilent means that a message that was sent to the inbox did not arrive: the connection
// may lead to a server that is no longer in charge, which looks alive and says nothing.
var errSilent = errors.New("redisstore: subscribed, but no message arrives")

// receive subscribes, and receives messages until something goes wrong.
func (f *feed) receive(ctx context.Context) error {
	pubsub := f.inbox.store.client.Subscribe(ctx, f.inbox.channel())
	defer pubsub.Close()
	stop := context.AfterFunc(ctx, func() { _ = pubsub.Close() }) // or it would wait for a message
	defer stop()
	wait, sent := f.inbox.patience, true
	for {
		message, err := pubsub.ReceiveTimeout(ctx, wait)
		var timeout net.Error
		switch {
		case errors.As(err, &timeout) && timeout.Timeout():
			if sent {
				return errSilent
			}
		case err != nil:
			return err
		}
		switch message := message.(type) {
		case *redis.Message:
			f.inbox.received(message.Payload)
			wait, sent = f.inbox.silence, false
		case *redis.Subscription, nil:
			if err := f.send(ctx); err != nil {
				return err
			}
			wait, sent = f.inbox.patience, true
		}
	}
}

// send sends an empty message to the inbox.
func (f *feed) send(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, f.inbox.patience)
	defer cancel()
	return f.inbox.store.client.Publish(ctx, f.inbox.channel(), "").Err()
}

// message returns what a message says: the room whose lease has ended, and the record that
// it ended with. The record is zero if there is none or if it cannot be read, the room's ID
// is empty if the message is not one of a script. The format is in lua/commit.lua.
func (s *Store) message(payload string) (roomID string, record roomtoken.Record) {
	length, rest, _ := strings.Cut(payload, ":")
	n, err := strconv.Atoi(length)
	if err != nil || n < 1 || n > len(rest) {
		return "", roomtoken.Record{}
	}
	roomID = rest[:n]
	record, _ = s.open(roomID, stored(rest[n:]))
	return roomID, record
}
