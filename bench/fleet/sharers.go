package main

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"time"

	"github.com/bsm/redislock"
	"github.com/redis/go-redis/v9"
	"github.com/redis/rueidis"
	"github.com/redis/rueidis/rueidisaside"
	"golang.org/x/sync/singleflight"

	"github.com/roomtoken/roomtoken"
)

// lifetime is for how long the others keep a token.
const lifetime = time.Hour

// get is a Manager's Token.
func (p *process) get(ctx context.Context, room string) (string, error) {
	token, err := p.Token(ctx, room)
	return token.Value.Reveal(), err
}

func startRoomtoken(s settings, t *traffic, src *source) (sharer, error) {
	return startProcess(s, t, src, roomtoken.Config{IdleAfter: -1})
}

// locked shares tokens by the usual pattern: look, lock, look again, create, store, unlock.
// While another has the lock, it tries again every 100 ms. One caller of a process does so;
// the others get what it gets.
type locked struct {
	client  *redis.Client
	locker  *redislock.Client
	prefix  string
	src     *source
	flights singleflight.Group
}

func startRedislock(s settings, t *traffic, src *source) (sharer, error) {
	client := newClient(s.Addr, t, 0)
	return &locked{client: client, locker: redislock.New(client), prefix: s.Prefix, src: src}, nil
}

func (l *locked) get(ctx context.Context, room string) (string, error) {
	token, err, _ := l.flights.Do(room, func() (any, error) { return l.fetch(ctx, room) })
	text, _ := token.(string)
	return text, err
}

func (l *locked) fetch(ctx context.Context, room string) (token string, err error) {
	if token, err = l.look(ctx, room); token != "" || err != nil {
		return token, err
	}
	lock, err := l.locker.Obtain(ctx, l.prefix+"lock:"+room, time.Minute, &redislock.Options{RetryStrategy: redislock.LinearBackoff(100 * time.Millisecond)})
	if err != nil {
		return "", err
	}
	defer func() { err = errors.Join(err, lock.Release(ctx)) }()
	if token, err = l.look(ctx, room); token != "" || err != nil {
		return token, err
	}
	if token, err = l.src.both(ctx, room); err != nil {
		return "", err
	}
	return token, l.client.Set(ctx, l.prefix+room, token, lifetime).Err()
}

// look returns the token of a room, "" if there is none.
func (l *locked) look(ctx context.Context, room string) (string, error) {
	token, err := l.client.Get(ctx, l.prefix+room).Result()
	if errors.Is(err, redis.Nil) {
		err = nil
	}
	return token, err
}

func (l *locked) close() error { return l.client.Close() }

// aside shares tokens by a placeholder in the place of the token, whose end the server tells
// those who have read it.
type aside struct {
	rueidisaside.CacheAsideClient
	prefix string
	src    *source
}

func startRueidis(s settings, t *traffic, src *source) (sharer, error) {
	client, err := rueidisaside.NewClient(rueidisaside.ClientOption{ClientOption: rueidis.ClientOption{
		InitAddress: []string{s.Addr},
		DialFn: func(addr string, _ *net.Dialer, _ *tls.Config) (net.Conn, error) {
			return t.dial(context.Background(), "tcp", addr)
		},
	}})
	if err != nil {
		return nil, err
	}
	return &aside{client, s.Prefix, src}, nil
}

func (a *aside) get(ctx context.Context, room string) (string, error) {
	return a.Get(ctx, lifetime, a.prefix+room, func(ctx context.Context, _ string) (string, error) { return a.src.both(ctx, room) })
}

func (a *aside) close() error { a.Close(); return nil }

// both returns a token and its refresh token as one value.
func (s *source) both(ctx context.Context, room string) (string, error) {
	g, err := s.Create(ctx, room)
	return g.Token.Value.Reveal() + " " + g.RefreshToken.Value.Reveal(), err
}
