package redisstore

import "time"

// Hurry makes the inbox of a Store send itself messages after a silence of so long, and
// wait for them with so much patience.
func (s *Store) Hurry(silence, patience time.Duration) {
	s.inbox.silence, s.inbox.patience = silence, patience
}

// Heard reports whether a Store knows that messages arrive in its inbox.
func (s *Store) Heard() bool { return s.inbox.heard() != "" }

// Channel returns the name of the channel of a Store's inbox.
func (s *Store) Channel() string { return s.inbox.channel() }
