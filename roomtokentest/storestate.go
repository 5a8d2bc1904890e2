package roomtokentest

import (
	"errors"
	"slices"
	"time"

	"github.com/roomtoken/roomtoken"
)

// errDamaged is the Entry.Unreadable of records that Damage has damaged.
var errDamaged = errors.New("roomtokentest: the record is damaged")

// Degrade makes the Store take no writes, as one that is read-only or out of memory:
// [Store.Acquire] answers with Entry.Degraded where it would give a lease, and Commit,
// Reject and Hold return err. With nil it takes writes again.
func (s *Store) Degrade(err error) {
	s.change(func(m *memory) { m.degraded = err })
}

// Damage makes the room's record unreadable, if there is one, until it is replaced or ends.
func (s *Store) Damage(roomID string) {
	s.change(func(m *memory) {
		if r := m.room(roomID, m.now()); !r.record.IsZero() {
			r.damaged = errDamaged
		}
	})
}

// Step moves the clock of the Store by d, which may be negative.
func (s *Store) Step(d time.Duration) {
	s.change(func(m *memory) { m.stepped += d })
}

// Flush empties the Store, as if it had been started anew.
func (s *Store) Flush() {
	s.change(func(m *memory) {
		m.rooms = make(map[string]*storeRoom)
		m.news = newsLog{limit: m.news.limit, epoch: m.news.epoch + 1, holdSerial: m.news.holdSerial}
	})
}

// StoreSnapshot is the state of a [Store] at some time, see [Store.Snapshot].
type StoreSnapshot struct {
	rooms map[string]*storeRoom
	news  newsLog
}

// Snapshot returns the present state of the Store, for Restore.
func (s *Store) Snapshot() *StoreSnapshot {
	var snapshot StoreSnapshot
	s.change(func(m *memory) { snapshot = StoreSnapshot{m.rooms, m.news}.clone() })
	return &snapshot
}

// Restore brings an earlier state back, as a failover does that loses the last writes. What
// has ended since is not brought back.
func (s *Store) Restore(snapshot *StoreSnapshot) {
	s.change(func(m *memory) {
		epoch, serial := m.news.epoch+1, m.news.holdSerial
		restored := snapshot.clone()
		m.rooms, m.news = restored.rooms, restored.news
		m.news.epoch, m.news.holdSerial = epoch, serial
	})
}

func (s StoreSnapshot) clone() StoreSnapshot {
	rooms := make(map[string]*storeRoom, len(s.rooms))
	for roomID, r := range s.rooms {
		rooms[roomID] = r.clone()
	}
	s.rooms = rooms
	s.news.log = slices.Clone(s.news.log)
	return s
}

// change runs f with the lock.
func (s *Store) change(f func(m *memory)) {
	m := s.memory()
	m.mu.Lock()
	defer m.mu.Unlock()
	f(m)
}

// Now returns the time on the clock of the Store.
func (s *Store) Now() roomtoken.StoreTime {
	var now roomtoken.StoreTime
	s.change(func(m *memory) { now = m.now() })
	return now
}

// Record returns the room's record, the zero Record if there is none that can be read.
func (s *Store) Record(roomID string) roomtoken.Record {
	var record roomtoken.Record
	s.change(func(m *memory) { record = m.room(roomID, m.now()).present() })
	return record
}

// Leases returns the leases that are in force, by room.
func (s *Store) Leases() map[string]roomtoken.Lease {
	leases := make(map[string]roomtoken.Lease)
	s.change(func(m *memory) {
		for roomID := range m.rooms {
			if r := m.room(roomID, m.now()); !r.lease.IsZero() {
				leases[roomID] = r.lease
			}
		}
	})
	return leases
}

// Rooms returns the IDs of the rooms of which anything is known, in order: a record, a
// lease, a failure, or a token that was refused.
func (s *Store) Rooms() []string {
	var roomIDs []string
	s.change(func(m *memory) {
		for roomID := range m.rooms {
			if !m.room(roomID, m.now()).isEmpty() {
				roomIDs = append(roomIDs, roomID)
			}
		}
	})
	slices.Sort(roomIDs)
	return roomIDs
}
