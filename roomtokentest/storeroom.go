package roomtokentest

import (
	"maps"
	"time"

	"github.com/roomtoken/roomtoken"
)

// maxWait is the longest time for which a failure or a hold may be in force.
const maxWait = 24 * time.Hour

// storeRoom is what a [Store] knows of a room. What has ended is not in it: see prune.
type storeRoom struct {
	record     roomtoken.Record // zero: none
	damaged    error            // not nil: the record cannot be read
	lease      roomtoken.Lease  // zero: nobody has it
	leaseEnds  roomtoken.StoreTime
	waiting    map[*wakes]bool // the processes that are told when the lease ends
	failure    roomtoken.Failure
	notBefore  roomtoken.StoreTime // until when the failure is in force
	remembered roomtoken.StoreTime // until when the failure is remembered
	tombstones map[roomtoken.Digest]tombstone
}

// tombstone is what is left of a token that was refused.
type tombstone struct {
	ends     roomtoken.StoreTime // when the token would have ended
	refusals int                 // of its Rejection, until there is a record again
}

// prune drops what has ended.
func (r *storeRoom) prune(now roomtoken.StoreTime) {
	if now >= r.record.Ends() {
		r.record, r.damaged = roomtoken.Record{}, nil
	}
	if now >= r.leaseEnds {
		r.endLease()
	}
	if now >= r.remembered {
		r.failure, r.notBefore = roomtoken.Failure{}, 0
	}
	maps.DeleteFunc(r.tombstones, func(_ roomtoken.Digest, t tombstone) bool { return now >= t.ends })
}

// isEmpty reports whether nothing is known of the room.
func (r *storeRoom) isEmpty() bool {
	return r.record.IsZero() && r.lease.IsZero() && r.failure == (roomtoken.Failure{}) && len(r.tombstones) == 0
}

// present returns the record, the zero Record where it cannot be read.
func (r *storeRoom) present() roomtoken.Record {
	if r.damaged != nil {
		return roomtoken.Record{}
	}
	return r.record
}

func (r *storeRoom) load(now roomtoken.StoreTime) roomtoken.Entry {
	entry := roomtoken.Entry{Now: now, Unreadable: r.damaged, Record: r.present()}
	if entry.Record.IsZero() && now < r.notBefore {
		entry.NotBefore, entry.Failure = r.notBefore.Sub(now), r.failure
	}
	return entry
}

// acquire answers an ask of the process that has the inbox.
func (r *storeRoom) acquire(ask roomtoken.Ask, inbox *wakes, degraded error, now roomtoken.StoreTime) roomtoken.Entry {
	entry := roomtoken.Entry{Now: now, Unreadable: r.damaged}
	record := r.present()
	if refused := ask.Refused; !refused.Token.IsZero() {
		if record.Token.Digest() == refused.Token {
			record = roomtoken.Record{}
		}
		if degraded == nil {
			r.reject(refused, now)
		}
	}
	if record.Version > ask.Newer {
		entry.Record = record
		return entry
	}
	if left := r.leaseEnds.Sub(now); !r.lease.IsZero() && r.lease.ID != ask.ID && left <= 10*ask.TTL {
		entry.Busy = left
		if ask.Wait {
			r.waiting[inbox] = true
		}
		return entry
	}
	if now < r.notBefore && !ask.Fresh {
		entry.NotBefore, entry.Failure = r.notBefore.Sub(now), r.failure
		return entry
	}
	if ask.Look {
		return entry
	}
	if r.lease.ID != ask.ID {
		if degraded != nil {
			entry.Degraded = degraded
			return entry
		}
		r.lease = roomtoken.Lease{RoomID: ask.RoomID, ID: ask.ID, Version: record.Version, Granted: now}
		r.leaseEnds = now.Add(ask.TTL)
		r.waiting = make(map[*wakes]bool)
	}
	entry.Lease, entry.Failure, entry.Refusals = r.lease, r.failure, r.refusals()
	return entry
}

func (r *storeRoom) commit(lease roomtoken.Lease, result roomtoken.Result, now roomtoken.StoreTime) roomtoken.Committed {
	answer := roomtoken.Committed{Now: now}
	record, present := result.Record, r.present()
	_, refused := r.tombstones[record.Token.Digest()]
	inForce := !r.lease.IsZero() && r.lease.ID == lease.ID
	switch {
	case !inForce && present.Version > lease.Version,
		!record.IsZero() && present.Version >= record.Version:
		answer.Newer = present
	case !record.IsZero() && refused:
	default:
		answer.Taken = true
		r.take(result, now)
	}
	if inForce {
		for inbox := range r.waiting {
			if answer.Taken {
				inbox.send(wake{lease.RoomID, record})
			} else {
				inbox.send(wake{roomID: lease.RoomID})
			}
		}
		r.endLease()
	}
	return answer
}

// take makes a result that is taken the state of the room.
func (r *storeRoom) take(result roomtoken.Result, now roomtoken.StoreTime) {
	switch {
	case !result.Record.IsZero():
		r.record, r.damaged = result.Record, nil
		r.failure, r.notBefore, r.remembered = roomtoken.Failure{}, 0, 0
		for digest, t := range r.tombstones {
			r.tombstones[digest] = tombstone{ends: t.ends}
		}
	case result.Failure != roomtoken.Failure{} && result.NotBefore <= maxWait:
		r.failure = result.Failure
		r.notBefore = now.Add(result.NotBefore)
		r.remembered = now.Add(2*result.NotBefore + time.Minute)
	}
}

func (r *storeRoom) reject(rejection roomtoken.Rejection, now roomtoken.StoreTime) {
	present := r.present()
	if present.Token.Digest() == rejection.Token {
		r.record, present = roomtoken.Record{}, roomtoken.Record{}
	}
	t := r.tombstones[rejection.Token]
	t.ends = max(t.ends, now.Add(rejection.Left))
	if present.IsZero() {
		t.refusals = max(t.refusals, rejection.Refusals)
	}
	if r.tombstones == nil {
		r.tombstones = make(map[roomtoken.Digest]tombstone)
	}
	r.tombstones[rejection.Token] = t
}

// refusals returns how many tokens in a row were refused, as far as tombstones tell.
func (r *storeRoom) refusals() int {
	most := 0
	for _, t := range r.tombstones {
		most = max(most, t.refusals)
	}
	return most
}

func (r *storeRoom) endLease() {
	r.lease, r.leaseEnds, r.waiting = roomtoken.Lease{}, 0, nil
}

// clone returns a copy that shares nothing which changes.
func (r *storeRoom) clone() *storeRoom {
	c := *r
	c.waiting, c.tombstones = maps.Clone(r.waiting), maps.Clone(r.tombstones)
	return &c
}
