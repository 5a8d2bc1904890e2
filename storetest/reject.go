package storetest

import (
	"time"

	"github.com/roomtoken/roomtoken"
)

var rejectChecks = []check{
	{of: "Reject", sentence: "Reject drops the record if it holds exactly that token", run: func(s *suite) {
		first := s.fill("first")
		second := s.renew(first, "second")
		s.reject(s.b, refusal(first))
		s.wantLoaded(second)
		s.reject(s.b, refusal(second))
		s.wantLoaded(roomtoken.Record{})
		s.want(s.lease(s.a, s.ask()).Version == 0, "a lease on version 0, because there is no record")
		s.reject(s.b, refusal(second))
		s.want(s.acquire(s.b, s.ask()).Busy > 0, "Busy: a lease is not rejected")
	}},
	{of: "Reject", sentence: "leaves a tombstone for rejection.Left", run: func(s *suite) {
		refuse := func(name string, left time.Duration) {
			rejection := refusal(roomtoken.Record{Token: roomtoken.NewSecret(name)})
			rejection.Left = left
			s.reject(s.a, rejection)
		}
		refuse("first", long)
		refuse("second", long)
		refuse("second", brief) // tells nothing new
		s.advance(brief)
		for _, name := range []string{"first", "second"} {
			lease := s.lease(s.b, s.ask())
			record := s.record(lease, name)
			s.want(!s.commit(s.b, lease, roomtoken.Result{Record: record}).Taken, "not taken, because the token was refused")
		}
		s.fill("third")
	}},
	{of: "Reject", sentence: "tells it in the news", run: func(s *suite) {
		rejection := refusal(s.fill("token"))
		rejection.Refusals = 7
		s.reject(s.a, rejection)
		news := s.news(s.b, "")
		s.want(len(news.Rejections) == 1 && s.told(news.Rejections[0], rejection), "%s", showRejection(rejection))
	}},
	{of: "Reject", sentence: "Where there is no record now, the most rejection.Refusals that was told since the last one is handed out with the next lease", run: func(s *suite) {
		record := s.fill("refused")
		rejection := refusal(record)
		for _, refusals := range []int{2, 5, 3, 0} { // processes that know more or less of it
			rejection.Refusals = refusals
			s.reject(s.a, rejection)
		}
		entry := s.acquire(s.b, s.ask())
		s.want(!entry.Lease.IsZero() && entry.Refusals == 5, "the lease, with 5 refusals")
		s.taken(s.b, entry.Lease, roomtoken.Result{Failure: roomtoken.Failure{Kind: roomtoken.FailureTransient, Count: 1}})
		entry = s.acquire(s.b, s.ask())
		s.want(entry.Refusals == 5, "5 refusals, because there is still no record")

		record = s.record(entry.Lease, "new")
		record.Refusals = entry.Refusals
		s.taken(s.b, entry.Lease, roomtoken.Result{Record: record})
		s.wantLoaded(record)
		s.want(s.acquire(s.a, s.newer(record)).Refusals == 0, "no refusals since the record")
	}},
}

// told reports whether the news has a rejection as it was told. Some of what was left has
// passed meanwhile.
func (s *suite) told(got, rejection roomtoken.Rejection) bool {
	left := got.Left
	got.Left = rejection.Left
	return got == rejection && s.about(left, rejection.Left)
}
