package redisstore

import (
	"errors"
	"strings"

	"github.com/redis/go-redis/v9"

	"github.com/roomtoken/roomtoken"
	"github.com/roomtoken/roomtoken/storeseal"
)

// Store is a [roomtoken.Store] and a [roomtoken.Waker]. It is safe for concurrent use, may
// serve several Managers, and needs no Close: what it runs, it runs for a call of Wake, and
// ends with it.
//
// Its errors are those of the client, wrapped; they show no tokens.
type Store struct {
	client redis.UniversalClient
	prefix string
	sealer *storeseal.Sealer
	names  string // of the sealer's keys, as the scripts take them
	inbox  *inbox
}

var (
	_ roomtoken.Store = (*Store)(nil)
	_ roomtoken.Waker = (*Store)(nil)
)

// New returns a Store on the servers of a client. It makes no network call, so that a
// service starts while Redis is down. The error names everything that is wrong with the
// client, which must not be nil nor a [redis.Ring], and with the Config.
func New(client redis.UniversalClient, config Config) (*Store, error) {
	if config.Prefix == "" {
		config.Prefix = DefaultPrefix
	}
	err := check(client, config)
	sealer, keys := config.sealer()
	if err := errors.Join(err, keys); err != nil {
		return nil, err
	}
	s := &Store{client: client, prefix: config.Prefix, sealer: sealer, names: strings.Join(sealer.Names(), "")}
	s.inbox = newInbox(s)
	return s, nil
}

// String returns the prefix of the keys.
func (s *Store) String() string { return "redisstore.Store(" + s.prefix + ")" }

// room returns the key of a room. The empty hash tag makes a cluster hash all of it,
// whatever braces the room's ID has.
func (s *Store) room(roomID string) []string { return []string{s.prefix + "{}" + roomID} }

// news returns the keys of the log and the hold. The second one's hash tag is the first
// key, so that they are on one node of a cluster.
func (s *Store) news() []string {
	log := s.prefix + "news"
	return []string{log, "{" + log + "}hold"}
}

// boxes returns what the names of the inboxes begin with.
func (s *Store) boxes() string { return s.prefix + "inbox:" }
