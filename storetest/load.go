package storetest

import (
	"fmt"

	"github.com/roomtoken/roomtoken"
)

var loadChecks = []check{
	{of: "Load", sentence: "Load looks up rooms, at most MaxLoad, in their order", run: func(s *suite) {
		records := make(map[string]roomtoken.Record)
		var roomIDs []string
		for i := range 40 {
			roomID := fmt.Sprint("room-", i)
			ask := s.ask()
			ask.RoomID = roomID
			lease := s.lease(s.a, ask)
			records[roomID] = s.record(lease, "token of "+roomID)
			s.taken(s.a, lease, roomtoken.Result{Record: records[roomID]})
		}
		for i := range roomtoken.MaxLoad { // every 4th is absent; many are there several times
			roomIDs = append(roomIDs, fmt.Sprint("room-", i*7%53))
		}
		for i, entry := range s.load(s.b, roomIDs...) {
			if record, ok := records[roomIDs[i]]; ok {
				s.want(equal(entry.Record, record), "entry %d, of %s, is %s; it is %s", i, roomIDs[i], showRecord(record), showEntry(entry, nil))
			} else {
				s.want(entry.Record.IsZero(), "entry %d, of %s, is nothing; it is %s", i, roomIDs[i], showEntry(entry, nil))
			}
		}
		s.load(s.a) // of no rooms
	}},
	{of: "Load", sentence: "It sets only Now, Record, Unreadable and, where there is no record, NotBefore and Failure of a failure in force", run: func(s *suite) {
		s.lease(s.a, s.ask())
		entry := s.load(s.b, lobby)[0]
		s.want(isNothing(entry), "nothing, because there is only a lease")

		failed := s.ask()
		failed.RoomID = "cellar"
		failure := roomtoken.Failure{Kind: roomtoken.FailureNotFound, Count: 2, Text: "no such room"}
		s.taken(s.a, s.lease(s.a, failed), roomtoken.Result{Failure: failure, NotBefore: long})
		entry = s.load(s.b, "cellar")[0]
		s.want(s.about(entry.NotBefore, long) && entry.Failure == failure, "NotBefore in %v, %s", long, showFailure(failure))

		failed = s.ask()
		failed.RoomID = "attic"
		s.taken(s.a, s.lease(s.a, failed), roomtoken.Result{Failure: failure})
		entry = s.load(s.b, "attic")[0]
		s.want(isNothing(entry), "nothing, because the failure is not in force")
	}},
	{of: "Entry", sentence: "At most one of Record, Lease, Busy, NotBefore and Degraded is set", run: func(s *suite) {
		record := s.fill("token")
		lease := s.lease(s.a, s.newer(record))
		s.taken(s.a, lease, roomtoken.Result{Failure: roomtoken.Failure{Kind: roomtoken.FailureTransient, Count: 1}, NotBefore: long})
		entry := s.load(s.b, lobby)[0]
		s.want(equal(entry.Record, record) && entry.NotBefore == 0, "the record alone, although a failure is in force")
	}},
}
