package storetest

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/roomtoken/roomtoken"
)

// each runs f concurrently: n times on each Store.
func (s *suite) each(n int, f func(store roomtoken.Store, i int)) {
	var group sync.WaitGroup
	for i, store := range s.harness.Stores {
		for j := range n {
			group.Go(func() { f(store, i*n+j) })
		}
	}
	group.Wait()
}

// oddRooms are IDs that a Store might mistake for something else.
func oddRooms() []string {
	rooms := []string{
		"a", "ab", "abc", "a:", "a:b", "ab:", ":a", "A", // prefixes of each other
		"{a}", "{}a", "{a", "a}", "{a}b", "{b}a", "{{a}}", "}{", "{}", "{", "}",
		" ", "  ", " a", "a ", "\ta", "a\n", "\r\n", "a b",
		"\x00", "a\x00", "a\x00b", "\x00a", // NUL
		"\xff", "a\xff", "\xc3", "\xc3\x28", "a\xf0\x9f", // not UTF-8
		"é", "e\u0301", "😀", "ﬀ", "İ", "\u202e",
		"*", "?", "[a]", "%", "_", "%s", "$1", "'", "\"", "\\", "a\\", ";--", "/", "../a", "-1", "0", "00", "nil", "null",
	}
	for _, length := range []int{255, 256, 257, 1023, 1024} {
		rooms = append(rooms, strings.Repeat("x", length))
	}
	return append(rooms, strings.Repeat("x", 1023)+"y", strings.Repeat("\xff", 1024))
}

var storeChecks = []check{
	{of: "Store", sentence: "For each room a Store keeps at most one record (a token and its refresh token), one lease, one failure, and tombstones of tokens that were refused", run: func(s *suite) {
		rooms := oddRooms()
		records := make([]roomtoken.Record, len(rooms))
		for i, roomID := range rooms {
			ask := s.ask()
			ask.RoomID = roomID
			lease := s.lease(s.a, ask)
			s.want(lease.RoomID == roomID && lease.Version == 0, "the lease of %s, where there is no record", short(roomID))
			ask.ID += "b"
			s.want(s.acquire(s.b, ask).Busy > 0, "Busy")
			records[i] = s.record(lease, fmt.Sprint("token ", i))
			s.taken(s.a, lease, roomtoken.Result{Record: records[i]})
		}
		for i, entry := range s.load(s.b, rooms...) {
			s.want(equal(entry.Record, records[i]), "the record of %s is %s, not %s", short(rooms[i]), showRecord(records[i]), showEntry(entry, nil))
		}
		for i, roomID := range rooms {
			if i%2 == 0 {
				rejection := refusal(records[i])
				rejection.RoomID = roomID
				s.reject(s.a, rejection)
			}
		}
		for i, entry := range s.load(s.b, rooms...) {
			s.want(entry.Record.IsZero() == (i%2 == 0), "every other record is dropped; of %s there is %s", short(rooms[i]), showEntry(entry, nil))
		}
		rejections := s.news(s.b, "").Rejections
		s.want(len(rejections) == (len(rooms)+1)/2, "%d rejections", (len(rooms)+1)/2)
		for i, rejection := range rejections {
			s.want(rejection.RoomID == rooms[2*i], "rejection %d is of %s, not of %s", i, short(rooms[2*i]), short(rejection.RoomID))
		}
		for i, roomID := range rooms { // a tombstone is of one room
			ask := s.ask()
			ask.RoomID, ask.Newer = roomID, records[i].Version
			lease := s.lease(s.b, ask)
			record := s.record(lease, fmt.Sprint("token ", (i+1)%len(rooms)))
			s.taken(s.b, lease, roomtoken.Result{Record: record})
		}
	}},
	{of: "Store", sentence: "a token and its refresh token", run: func(s *suite) {
		lease := s.lease(s.a, s.ask())
		record := roomtoken.Record{
			Version:         1<<52 + 1,
			Token:           roomtoken.NewSecret(strings.Repeat("t\x00\xff{}", 16<<10/5)),
			RefreshToken:    roomtoken.NewSecret(strings.Repeat("refresh ", 16<<10/8)),
			Began:           lease.Granted.Add(-12345 * time.Microsecond),
			Lifetime:        3*time.Hour + 1234567*time.Microsecond,
			RefreshLifetime: 30 * 24 * time.Hour,
			RenewAge:        2*time.Hour + 7654321*time.Microsecond,
			HandOutAge:      17 * time.Second,
			Refusals:        12,
		}
		s.taken(s.a, lease, roomtoken.Result{Record: record})
		s.wantLoaded(record)
		ask := s.ask()
		ask.Newer = record.Version - 1
		s.wantRecord(s.acquire(s.b, ask).Record, record)

		lease = s.lease(s.b, s.newer(record))
		s.want(lease.Version == record.Version, "a lease on version %d", record.Version)
		plain := roomtoken.Record{Version: record.Version + 1, Token: roomtoken.NewSecret("t"), Began: lease.Granted, Lifetime: long}
		s.taken(s.b, lease, roomtoken.Result{Record: plain}) // no refresh token
		s.wantLoaded(plain)
	}},
	{of: "Store", sentence: "All that it measures it measures on one clock, its own", run: func(s *suite) {
		first := s.load(s.a, lobby)[0].Now
		ask := s.ask()
		entry := s.acquire(s.b, ask)
		s.want(entry.Now.Sub(first) >= -s.tolerance(), "Now is at least %d, as one process was told before the other", first)
		s.want(entry.Lease.Granted.Sub(first) >= -s.tolerance(), "a lease granted at %d or later", first)
		s.advance(brief)
		committed := s.commit(s.a, entry.Lease, roomtoken.Result{})
		passed, most := committed.Now.Sub(entry.Now), brief+2*s.tolerance()
		if s.harness.Advance == nil {
			most += time.Since(s.began)
		}
		s.want(brief-s.tolerance() <= passed && passed <= most, "Now is %d µs or a little more after the lease was given; it is %d µs", brief.Microseconds(), passed.Microseconds())
	}},
	{of: "Store", sentence: "a record and a tombstone end with their token", run: func(s *suite) {
		lease := s.lease(s.a, s.ask())
		record := s.record(lease, "brief")
		record.Lifetime = brief
		s.taken(s.a, lease, roomtoken.Result{Record: record})
		s.advance(brief)
		s.wantLoaded(roomtoken.Record{})
		s.want(s.lease(s.b, s.ask()).Version == 0, "a lease on version 0, because the record has ended")

		rejection := refusal(record)
		rejection.RoomID, rejection.Left = "cellar", brief
		s.reject(s.a, rejection)
		lasting := rejection
		lasting.Token, lasting.Left = roomtoken.NewSecret("long").Digest(), long
		s.reject(s.a, lasting)
		s.advance(brief)
		for _, name := range []string{"brief", "long"} {
			ask := s.ask()
			ask.RoomID = "cellar"
			lease := s.lease(s.b, ask)
			taken := s.commit(s.b, lease, roomtoken.Result{Record: s.record(lease, name)}).Taken
			s.want(taken == (name == "brief"), "taken is %v, because the tombstone of one token has ended, and that of the other has not", name == "brief")
			if taken {
				rejection.Token, rejection.Left = roomtoken.NewSecret(name).Digest(), brief
				s.reject(s.b, rejection) // no record is in the way of the other
			}
		}
	}},
	{of: "Store", sentence: "a lease and a failure after the time that they were given", run: func(s *suite) {
		ask, lasting := s.ask(), s.ask()
		ask.TTL, lasting.RoomID = brief, "cellar"
		s.lease(s.a, ask)
		s.lease(s.a, lasting)
		s.advance(brief)
		lease := s.lease(s.b, s.ask())
		lasting.ID = "another"
		s.want(s.acquire(s.b, lasting).Busy > 0, "Busy: this lease lasts")

		failure := roomtoken.Failure{Kind: roomtoken.FailureTransient, Count: 1}
		s.taken(s.b, lease, roomtoken.Result{Failure: failure, NotBefore: brief})
		s.advance(brief)
		s.lease(s.a, s.ask())
	}},
	{of: "Store", sentence: "Each method is atomic for a room: of two that run at a time one comes first", run: func(s *suite) {
		for round := range 20 { // a lease has one owner
			roomID := fmt.Sprint("room ", round)
			var mu sync.Mutex
			leases, busy := 0, 0
			s.each(16, func(store roomtoken.Store, i int) {
				entry, err := store.Acquire(s.ctx, roomtoken.Ask{RoomID: roomID, ID: fmt.Sprint(roomID, " ask ", i), TTL: long})
				mu.Lock()
				defer mu.Unlock()
				switch {
				case err != nil:
				case !entry.Lease.IsZero():
					leases++
				case entry.Busy > 0:
					busy++
				}
			})
			s.call("%d calls of Acquire at a time = %d leases, %d Busy", 16*len(s.harness.Stores), leases, busy)
			s.want(leases == 1 && busy == 16*len(s.harness.Stores)-1, "one lease, Busy for all others")
		}
		for round := range 50 { // a token that is rejected while it is committed is not there afterwards
			ask := s.ask()
			ask.RoomID = fmt.Sprint("rejected ", round)
			lease := s.lease(s.a, ask)
			record := s.record(lease, "token")
			rejection := refusal(record)
			rejection.RoomID = ask.RoomID
			var group sync.WaitGroup
			var committed, rejected error
			group.Go(func() { _, committed = s.a.Commit(s.ctx, lease, roomtoken.Result{Record: record}) })
			group.Go(func() { rejected = s.b.Reject(s.ctx, rejection) })
			group.Wait()
			s.call("Commit and Reject of a token at a time = %v, %v", committed, rejected)
			s.want(committed == nil && rejected == nil, "no error")
			s.want(s.load(s.a, ask.RoomID)[0].Record.IsZero(), "no record, whichever came first")
		}
		for round := range 50 { // of two commits the newer one remains
			ask := s.ask()
			ask.RoomID = fmt.Sprint("committed ", round)
			first := s.lease(s.a, ask)
			ask.ID, ask.TTL = ask.ID+"b", long/20
			second := s.lease(s.b, ask) // the first lease is none to this ask
			older, newer := s.record(first, "older"), s.record(second, "newer")
			newer.Version = older.Version + 1
			var group sync.WaitGroup
			group.Go(func() { _, _ = s.a.Commit(s.ctx, first, roomtoken.Result{Record: older}) })
			group.Go(func() { _, _ = s.b.Commit(s.ctx, second, roomtoken.Result{Record: newer}) })
			group.Wait()
			s.call("Commit of versions %d and %d at a time", older.Version, newer.Version)
			s.wantRecord(s.load(s.a, ask.RoomID)[0].Record, newer)
		}
	}},
	{of: "Store", sentence: "What cannot be read, or is damaged, is no error but counts as absent, see Entry.Unreadable", needs: hookDamage, run: func(s *suite) {
		record := s.fill("damaged")
		s.harness.Damage(lobby)
		s.call("damage")
		entry := s.load(s.b, lobby)[0]
		s.want(entry.Record.IsZero() && entry.Unreadable != nil, "no record, and Unreadable")
		entry = s.acquire(s.b, s.ask())
		s.want(!entry.Lease.IsZero() && entry.Unreadable != nil, "the lease, and Unreadable")
		repaired := s.record(entry.Lease, "repaired")
		repaired.Version = max(repaired.Version, record.Version+1)
		s.taken(s.b, entry.Lease, roomtoken.Result{Record: repaired})
		s.wantLoaded(repaired)
		s.want(s.load(s.a, lobby)[0].Unreadable == nil, "nothing that is unreadable")
	}},
	{of: "Store", sentence: "A method should return when its ctx ends", run: func(s *suite) {
		record := s.fill("token")
		s.returns("Load", func(ctx context.Context) { _, _ = s.a.Load(ctx, []string{lobby}) })
		s.returns("Acquire", func(ctx context.Context) { _, _ = s.a.Acquire(ctx, s.newer(record)) })
		s.returns("Commit", func(ctx context.Context) {
			_, _ = s.a.Commit(ctx, roomtoken.Lease{RoomID: lobby, ID: "none"}, roomtoken.Result{})
		})
		s.returns("Reject", func(ctx context.Context) { _ = s.a.Reject(ctx, refusal(record)) })
		s.returns("Hold", func(ctx context.Context) { _ = s.a.Hold(ctx, long, limited("")) })
		s.returns("News", func(ctx context.Context) { _, _ = s.a.News(ctx, "") })
		s.news(s.a, "") // it still works
	}},
	{of: "Store", sentence: "What is read must be the present state and no replica's", run: func(s *suite) {
		record := s.fill("0")
		for i := range 30 {
			record = s.renew(record, fmt.Sprint(i+1))
			s.wantRecord(s.load(s.b, lobby)[0].Record, record)
			s.wantRecord(s.acquire(s.b, s.ask()).Record, record)
		}
	}},
	{of: "Store", sentence: "Methods must be safe for concurrent use, also by several Managers", run: func(s *suite) {
		s.each(8, func(store roomtoken.Store, i int) {
			for j := range 20 {
				ask := roomtoken.Ask{RoomID: fmt.Sprint("room ", j%3), ID: fmt.Sprint("ask ", i, j), TTL: long, Wait: true}
				entry, _ := store.Acquire(s.ctx, ask)
				if !entry.Lease.IsZero() {
					_, _ = store.Commit(s.ctx, entry.Lease, roomtoken.Result{Record: s.record(entry.Lease, ask.ID)})
				}
				_, _ = store.Load(s.ctx, []string{"room 0", "room 1", "room 2"})
				rejection := refusal(entry.Record)
				rejection.RoomID = ask.RoomID
				_ = store.Reject(s.ctx, rejection)
				_ = store.Hold(s.ctx, time.Duration(i)*time.Second, limited("busy"))
				_, _ = store.News(s.ctx, "")
			}
		})
		for _, entry := range s.load(s.a, "room 0", "room 1", "room 2") {
			s.want(entry.Unreadable == nil, "records that can be read")
		}
		s.want(s.about(s.news(s.b, "").Hold.Wait, time.Duration(8*len(s.harness.Stores)-1)*time.Second), "the longest hold")
	}},
	{of: "Store", sentence: "greater than that of every earlier record of the room", needs: hookFlush, run: func(s *suite) {
		record := s.fill("before")
		s.harness.Flush()
		s.call("flush")
		s.wantLoaded(roomtoken.Record{})
		s.advance(brief)
		lease := s.lease(s.b, s.newer(record))
		next := s.record(lease, "after")
		s.want(lease.Version == 0 && next.Version > record.Version, "a lease on version 0, granted after %d, the version before: the clock goes on", record.Version)
		s.taken(s.b, lease, roomtoken.Result{Record: next})
		s.wantRecord(s.acquire(s.a, s.newer(record)).Record, next)
	}},
}

// returns checks that f, which is called with a ctx that has ended, returns soon.
func (s *suite) returns(method string, f func(ctx context.Context)) {
	s.Helper()
	ctx, cancel := context.WithCancel(s.ctx)
	cancel()
	done := make(chan struct{})
	go func() {
		defer close(done)
		f(ctx)
	}()
	timer := time.NewTimer(patience)
	defer timer.Stop()
	select {
	case <-done:
	case <-timer.C:
		s.call("a.%s, with a ctx that has ended", method)
		s.fail("it returns within %v", patience)
	}
}
