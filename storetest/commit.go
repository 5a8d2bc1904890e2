package storetest

import (
	"time"

	"github.com/roomtoken/roomtoken"
)

// day is the longest time for which a failure or a hold may be in force.
const day = 24 * time.Hour

var commitChecks = []check{
	{of: "Commit", sentence: "Commit ends a lease with its result", run: func(s *suite) {
		lease := s.lease(s.a, s.ask())
		record := s.record(lease, "token")
		s.taken(s.a, lease, roomtoken.Result{Record: record})
		s.wantLoaded(record)

		lease = s.lease(s.b, s.newer(record)) // the lease is over
		s.taken(s.b, lease, roomtoken.Result{Failure: roomtoken.Failure{Kind: roomtoken.FailurePermanent, Count: 1}})
		lease = s.lease(s.a, s.newer(record))
		s.want(!s.commit(s.a, lease, roomtoken.Result{Record: record}).Taken, "not taken: the record is not newer")
		s.lease(s.b, s.newer(record)) // it is over even so
	}},
	{of: "Commit", sentence: "The result is taken if the lease is still in force", run: func(s *suite) {
		// The first lease is none for who asks with a short TTL, so that there are two.
		first := s.lease(s.a, s.ask())
		ask := s.ask()
		ask.TTL = long / 20
		second := s.lease(s.b, ask)
		early, late := s.record(first, "early"), s.record(second, "late")
		late.Version = early.Version + 1
		s.taken(s.a, first, roomtoken.Result{Record: early})
		s.want(s.acquire(s.a, s.newer(early)).Busy > 0, "Busy: the first lease is over, the second is not")
		s.taken(s.b, second, roomtoken.Result{Record: late}) // although the record is newer than the lease
		s.wantLoaded(late)
	}},
	{of: "Commit", sentence: "or if the record is not newer than the one that the lease was given on", run: func(s *suite) {
		ask := s.ask()
		ask.TTL = brief
		lease := s.lease(s.a, ask)
		s.advance(brief)
		first := s.record(lease, "first")
		s.taken(s.a, lease, roomtoken.Result{Record: first}) // nobody published meanwhile

		ask = s.newer(first)
		ask.TTL = brief
		lease = s.lease(s.a, ask)
		s.advance(brief)
		second := s.renew(first, "second")
		stopped := s.record(lease, "of a process that was stopped")
		stopped.Version = second.Version + 1
		committed := s.commit(s.a, lease, roomtoken.Result{Record: stopped})
		s.want(!committed.Taken && equal(committed.Newer, second), "not taken, because of the newer %s", showRecord(second))
		s.wantLoaded(second)
		committed = s.commit(s.a, lease, roomtoken.Result{Failure: roomtoken.Failure{Kind: roomtoken.FailurePermanent, Count: 1}, NotBefore: long})
		s.want(!committed.Taken, "not taken: nor is a failure")
		s.lease(s.b, s.newer(second))
	}},
	{of: "Commit", sentence: "never if the result's record is not newer than the one there", run: func(s *suite) {
		record := s.fill("present")
		for _, version := range []uint64{record.Version, record.Version - 1} {
			lease := s.lease(s.a, s.newer(record))
			older := s.record(lease, "older")
			older.Version = version
			committed := s.commit(s.a, lease, roomtoken.Result{Record: older})
			s.want(!committed.Taken && equal(committed.Newer, record), "not taken, because of %s", showRecord(record))
			s.wantLoaded(record)
		}
		// A Commit whose answer was lost is told again. Whether it is taken again or refused
		// because of itself is the same to the Manager.
		lease := s.lease(s.a, s.newer(record))
		next := s.record(lease, "next")
		s.taken(s.a, lease, roomtoken.Result{Record: next})
		committed := s.commit(s.a, lease, roomtoken.Result{Record: next})
		s.want(committed.Taken || equal(committed.Newer, next), "taken again, or not taken because it is there")
		s.wantLoaded(next)
	}},
	{of: "Commit", sentence: "or its token has a tombstone", run: func(s *suite) {
		lease := s.lease(s.a, s.ask())
		record := s.record(lease, "refused")
		s.reject(s.b, refusal(record))
		committed := s.commit(s.a, lease, roomtoken.Result{Record: record})
		s.want(!committed.Taken && committed.Newer.IsZero(), "not taken, and no newer record")
		s.wantLoaded(roomtoken.Record{})
	}},
	{of: "Commit", sentence: "A record replaces the record and ends the failure", run: func(s *suite) {
		first := s.fill("first")
		second := s.renew(first, "second")
		s.wantLoaded(second)

		lease := s.lease(s.a, s.newer(second))
		s.taken(s.a, lease, roomtoken.Result{Failure: roomtoken.Failure{Kind: roomtoken.FailureTransient, Count: 3}, NotBefore: long})
		ask := s.newer(second)
		ask.Fresh = true
		lease = s.lease(s.b, ask)
		third := s.record(lease, "third")
		s.taken(s.b, lease, roomtoken.Result{Record: third})
		entry := s.acquire(s.a, s.newer(third))
		s.want(!entry.Lease.IsZero() && entry.Failure == roomtoken.Failure{}, "the lease, and no failure")
	}},
	{of: "Commit", sentence: "A failure is in force for result.NotBefore", run: func(s *suite) {
		failure := roomtoken.Failure{Kind: roomtoken.FailureUnauthorized, Count: 17, Text: "401 \"no\"\n\tκλειδί {}%s"}
		for len(failure.Text) < 1024 {
			failure.Text += "."
		}
		s.taken(s.a, s.lease(s.a, s.ask()), roomtoken.Result{Failure: failure, NotBefore: 20 * time.Minute})
		entry := s.acquire(s.b, s.ask())
		s.want(s.about(entry.NotBefore, 20*time.Minute) && entry.Failure == failure, "NotBefore in 20m, %s", showFailure(failure))

		ask := s.ask()
		ask.Fresh = true
		failure = roomtoken.Failure{Kind: roomtoken.FailureTransient, Count: 18}
		s.taken(s.b, s.lease(s.b, ask), roomtoken.Result{Failure: failure, NotBefore: 40 * time.Minute})
		entry = s.acquire(s.a, s.ask())
		s.want(s.about(entry.NotBefore, 40*time.Minute) && entry.Failure == failure, "NotBefore in 40m, %s", showFailure(failure))
	}},
	{of: "Commit", sentence: "more than 24 h counts as none", run: func(s *suite) {
		failure := roomtoken.Failure{Kind: roomtoken.FailureTransient, Count: 1}
		s.taken(s.a, s.lease(s.a, s.ask()), roomtoken.Result{Failure: failure, NotBefore: day + time.Second})
		lease := s.lease(s.b, s.ask())
		s.taken(s.b, lease, roomtoken.Result{Failure: failure, NotBefore: day})
		s.want(s.about(s.acquire(s.a, s.ask()).NotBefore, day), "NotBefore in %v", day)
	}},
	{of: "Commit", sentence: "its Count is remembered for twice as long and a minute more", needs: hookAdvance, run: func(s *suite) {
		failure := s.failFor(10 * time.Minute)
		s.advance(10 * time.Minute)
		s.want(isNothing(s.load(s.b, lobby)[0]), "nothing, because the failure is no longer in force")
		s.advance(10*time.Minute + 50*time.Second)
		entry := s.acquire(s.a, s.ask())
		s.want(!entry.Lease.IsZero() && entry.Failure.Count == failure.Count, "the lease, and a failure with count %d, which is remembered for 21m", failure.Count)
		s.taken(s.a, entry.Lease, roomtoken.Result{})
		s.advance(10 * time.Second)
		entry = s.acquire(s.b, s.ask())
		s.want(!entry.Lease.IsZero() && entry.Failure == roomtoken.Failure{}, "the lease, and no failure, because 21m are over")
	}},
	{of: "Commit", sentence: "the record stays", run: func(s *suite) {
		record := s.fill("token")
		lease := s.lease(s.a, s.newer(record))
		s.taken(s.a, lease, roomtoken.Result{Failure: roomtoken.Failure{Kind: roomtoken.FailureTransient, Count: 1}, NotBefore: long})
		s.wantLoaded(record)
		s.want(s.acquire(s.b, s.newer(record)).NotBefore > 0, "NotBefore")
	}},
	{of: "Commit", sentence: "An empty result gives the lease back and changes nothing else", run: func(s *suite) {
		record := s.fill("token")
		lease := s.lease(s.a, s.newer(record))
		failure := roomtoken.Failure{Kind: roomtoken.FailureNotFound, Count: 4, Text: "none"}
		s.taken(s.a, lease, roomtoken.Result{Failure: failure, NotBefore: long})
		ask := s.newer(record)
		ask.Fresh = true
		s.taken(s.a, s.lease(s.a, ask), roomtoken.Result{})

		s.wantLoaded(record)
		entry := s.acquire(s.b, s.newer(record))
		s.want(s.about(entry.NotBefore, long) && entry.Failure == failure, "NotBefore in %v, %s", long, showFailure(failure))
		ask.ID = "another"
		s.lease(s.b, ask)
	}},
}
