package storetest

import (
	"github.com/roomtoken/roomtoken"
)

var acquireChecks = []check{
	{of: "Acquire", sentence: "Where ask.Refused names the token of the record, the record is dropped", run: func(s *suite) {
		record := s.fill("refused")
		ask := s.ask()
		ask.Refused, ask.Look = refusal(record), true
		s.want(s.acquire(s.b, ask).Record.IsZero(), "nothing, because the record is that of the refused token")
		s.wantLoaded(roomtoken.Record{})
	}},
	{of: "Acquire", sentence: "in any case a tombstone is left, as by Reject", run: func(s *suite) {
		refused := s.record(roomtoken.Lease{}, "refused")
		present := s.fill("present")
		ask := s.newer(present)
		ask.Refused = refusal(refused)
		lease := s.lease(s.b, ask)
		s.wantLoaded(present)

		refused.Version = present.Version + 1
		s.want(!s.commit(s.b, lease, roomtoken.Result{Record: refused}).Taken, "not taken, because of the tombstone")
		s.wantLoaded(present)

		ask = s.ask()
		ask.Refused = refusal(present)
		ask.Refused.Refusals = 2
		s.want(s.acquire(s.b, ask).Refusals == 2, "the lease, with 2 refusals")
	}},
	{of: "Acquire", sentence: "If the record is newer than ask.Newer, it is the answer", run: func(s *suite) {
		record := s.fill("first")
		s.wantRecord(s.acquire(s.b, s.ask()).Record, record)

		ask := s.ask()
		ask.Newer = record.Version - 1
		s.wantRecord(s.acquire(s.b, ask).Record, record)

		entry := s.acquire(s.b, s.newer(record))
		s.want(entry.Record.IsZero() && !entry.Lease.IsZero(), "a lease, because the record is not newer")
		s.wantRecord(s.acquire(s.a, s.ask()).Record, record) // although there is a lease

		s.taken(s.b, entry.Lease, roomtoken.Result{Failure: roomtoken.Failure{Kind: roomtoken.FailureTransient, Count: 1}, NotBefore: long})
		s.wantRecord(s.acquire(s.a, s.ask()).Record, record) // although there is a failure
	}},
	{of: "Acquire", sentence: "If another ask has the lease, the answer is Busy", run: func(s *suite) {
		s.lease(s.a, s.ask())
		for _, store := range []*handle{s.b, s.a} {
			entry := s.acquire(store, s.ask())
			s.want(s.about(entry.Busy, long), "Busy for %v", long)
		}
		look, fresh := s.ask(), s.ask()
		look.Look, fresh.Fresh = true, true
		s.want(s.acquire(s.b, look).Busy > 0, "Busy: whoever looks is told too")
		s.want(s.acquire(s.b, fresh).Busy > 0, "Busy: Fresh disregards the failure, not the lease")
	}},
	{of: "Acquire", sentence: "A lease that lasts for more than ten times ask.TTL from now on is none", run: func(s *suite) {
		first := s.lease(s.a, s.ask())
		ask := s.ask()
		ask.TTL = long / 9
		s.want(s.acquire(s.b, ask).Busy > 0, "Busy, because the lease lasts for 9 times the TTL")
		ask = s.ask()
		ask.TTL = long / 11
		second := s.lease(s.b, ask)
		s.want(second.ID != first.ID, "a lease of its own")
		s.want(s.about(s.acquire(s.a, s.ask()).Busy, ask.TTL), "Busy for %v", ask.TTL)
	}},
	{of: "Acquire", sentence: "If a failure is in force, and not ask.Fresh, the answer is NotBefore", run: func(s *suite) {
		failure := s.failFor(long)
		for _, store := range []*handle{s.b, s.a} {
			entry := s.acquire(store, s.ask())
			s.want(s.about(entry.NotBefore, long) && entry.Failure == failure, "NotBefore in %v, %s", long, showFailure(failure))
		}
		ask := s.ask()
		ask.Fresh = true
		entry := s.acquire(s.b, ask)
		s.want(!entry.Lease.IsZero() && entry.Failure == failure, "the lease, because the ask is Fresh, and %s", showFailure(failure))
		s.want(s.acquire(s.a, s.ask()).Busy > 0, "Busy: the lease comes before the failure")
	}},
	{of: "Acquire", sentence: "Else the asker gets the lease, unless ask.Look", run: func(s *suite) {
		look := s.ask()
		look.Look = true
		entry := s.acquire(s.a, look)
		s.want(isNothing(entry), "nothing, because the ask only looks")

		ask := s.ask()
		entry = s.acquire(s.b, ask)
		want := roomtoken.Lease{RoomID: lobby, ID: ask.ID, Granted: entry.Lease.Granted}
		s.want(entry.Lease == want && entry.Failure == roomtoken.Failure{} && entry.Refusals == 0, "%s, and no failure", showLease(want))
		s.want(entry.Lease.Granted <= entry.Now, "a lease granted not after %d, when the Store answered", entry.Now)

		record := s.record(entry.Lease, "token")
		s.taken(s.b, entry.Lease, roomtoken.Result{Record: record})
		s.want(s.lease(s.b, s.newer(record)).Version == record.Version, "a lease on version %d", record.Version)
	}},
	{of: "Acquire", sentence: "Where the Store takes no writes but can be read, the answer is Degraded instead", needs: hookReadOnly, run: func(s *suite) {
		record := s.fill("token")
		busy := s.ask()
		busy.RoomID = "cellar"
		lease := s.lease(s.a, busy)
		s.cleanup = append(s.cleanup, func() { s.harness.ReadOnly(false) })
		s.harness.ReadOnly(true)
		s.call("no writes")

		s.wantRecord(s.acquire(s.b, s.ask()).Record, record)
		s.wantLoaded(record)
		s.want(s.acquire(s.b, s.newer(record)).Degraded != nil, "Degraded, because the record is not newer")
		ask := s.ask()
		ask.Refused = refusal(record)
		s.want(s.acquire(s.b, ask).Record.IsZero(), "not the record, because its token was refused")
		busy.ID = "another"
		s.want(s.acquire(s.b, busy).Busy > 0, "Busy, because another has the lease")
		s.news(s.b, "")
		_, err := s.a.Commit(s.ctx, lease, roomtoken.Result{Record: s.record(lease, "lost")})
		s.call("a.Commit = %v", err)
		s.want(err != nil, "an error, because nothing was written")
		err = s.a.Reject(s.ctx, refusal(record))
		s.call("a.Reject = %v", err)
		s.want(err != nil, "an error, because nothing was written")
		err = s.a.Hold(s.ctx, long, roomtoken.Failure{Kind: roomtoken.FailureRateLimited})
		s.call("a.Hold = %v", err)
		s.want(err != nil, "an error, because nothing was written")

		s.harness.ReadOnly(false)
		s.call("writes again")
		s.lease(s.b, s.newer(record))
	}},
	{of: "Acquire", sentence: "Acquire is repeatable: with the same ask.ID it gives the same lease again", run: func(s *suite) {
		record := s.fill("token")
		ask := s.newer(record)
		first := s.lease(s.a, ask)
		s.advance(brief)
		s.want(s.lease(s.a, ask) == first, "%s", showLease(first))
		s.want(s.acquire(s.b, s.newer(record)).Busy > 0, "Busy")
		s.taken(s.a, first, roomtoken.Result{})
		s.lease(s.b, s.newer(record))
	}},
}
