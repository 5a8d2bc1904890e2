package storetest

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/roomtoken/roomtoken"
)

const (
	lobby    = "lobby"                // the room of most checks
	long     = time.Hour              // a time that does not pass in a check
	brief    = 250 * time.Millisecond // a time that does
	patience = 5 * time.Second        // how soon "soon" is

	defaultTolerance = 5 * time.Millisecond
)

// tb is what a check needs of a [testing.TB].
type tb interface {
	Helper()
	Fatalf(format string, args ...any)
}

// handle is a Store of the Harness.
type handle struct {
	roomtoken.Store
	name string // in messages
}

// suite is one check that runs. Except for call, its methods are for the goroutine of the
// check alone.
type suite struct {
	tb
	check
	harness Harness
	a, b    *handle // two processes
	ctx     context.Context
	began   time.Time
	asks    int // for the IDs of asks
	cleanup []func()

	mu    sync.Mutex
	calls []string // what was asked, with the answers
}

// test runs the check.
func (c check) test(ctx context.Context, t tb, h Harness) {
	t.Helper()
	ctx, cancel := context.WithCancel(ctx)
	s := &suite{
		tb:      t,
		check:   c,
		harness: h,
		a:       &handle{h.Stores[0], "a"},
		b:       &handle{h.Stores[1], "b"},
		ctx:     ctx,
		began:   time.Now(),
	}
	defer s.clean(cancel)
	c.run(s)
}

// clean ends what the check began.
func (s *suite) clean(cancel func()) {
	cancel()
	for _, f := range s.cleanup {
		f()
	}
}

// call notes a call and its answer, for the message of a failure.
func (s *suite) call(format string, args ...any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.calls = append(s.calls, fmt.Sprintf(format, args...))
}

// maxCalls is how many calls the message of a failure shows: the last ones.
const maxCalls = 16

// fail ends the check with what was expected.
func (s *suite) fail(format string, args ...any) {
	s.Helper()
	s.mu.Lock()
	calls := s.calls
	s.mu.Unlock()
	var b strings.Builder
	fmt.Fprintf(&b, "%s: this does not hold: %s.\n", s.of, s.sentence)
	if skipped := len(calls) - maxCalls; skipped > 0 {
		fmt.Fprintf(&b, "\t(%d calls before)\n", skipped)
		calls = calls[skipped:]
	}
	for _, line := range calls {
		fmt.Fprintf(&b, "\t%s\n", line)
	}
	s.Fatalf("%swant: "+format, append([]any{b.String()}, args...)...)
}

// want ends the check unless the last answer was the expected one.
func (s *suite) want(ok bool, format string, args ...any) {
	s.Helper()
	if !ok {
		s.fail(format, args...)
	}
}

// ask returns an ask for a lease of the lobby that lasts.
func (s *suite) ask() roomtoken.Ask {
	s.asks++
	return roomtoken.Ask{RoomID: lobby, ID: "ask-" + strconv.Itoa(s.asks), TTL: long}
}

// newer is ask, by a process that has the record.
func (s *suite) newer(record roomtoken.Record) roomtoken.Ask {
	ask := s.ask()
	ask.Newer = record.Version
	return ask
}

func (s *suite) acquire(store *handle, ask roomtoken.Ask) roomtoken.Entry {
	s.Helper()
	entry, err := store.Acquire(s.ctx, ask)
	s.call("%s.Acquire(%s) = %s", store.name, showAsk(ask), showEntry(entry, err))
	s.want(err == nil, "no error")
	s.wantOneAnswer(entry)
	return entry
}

// lease is acquire where the asker must get the lease.
func (s *suite) lease(store *handle, ask roomtoken.Ask) roomtoken.Lease {
	s.Helper()
	lease := s.acquire(store, ask).Lease
	s.want(!lease.IsZero(), "a lease, because nobody has it")
	return lease
}

func (s *suite) commit(store *handle, lease roomtoken.Lease, result roomtoken.Result) roomtoken.Committed {
	s.Helper()
	committed, err := store.Commit(s.ctx, lease, result)
	s.call("%s.Commit(%s, %s) = %s", store.name, showLease(lease), showResult(result), showCommitted(committed, err))
	s.want(err == nil, "no error")
	s.want(!committed.Taken || committed.Newer.IsZero(), "no newer record, because the result was taken")
	return committed
}

// taken is commit where the result must be taken.
func (s *suite) taken(store *handle, lease roomtoken.Lease, result roomtoken.Result) {
	s.Helper()
	s.want(s.commit(store, lease, result).Taken, "the result is taken")
}

func (s *suite) load(store *handle, roomIDs ...string) []roomtoken.Entry {
	s.Helper()
	entries, err := store.Load(s.ctx, roomIDs)
	s.call("%s.Load(%s) = %s", store.name, showRooms(roomIDs), showEntries(entries, err))
	s.want(err == nil, "no error")
	s.want(len(entries) == len(roomIDs), "%d entries", len(roomIDs))
	for _, entry := range entries {
		s.wantOneAnswer(entry)
	}
	return entries
}

func (s *suite) reject(store *handle, rejection roomtoken.Rejection) {
	s.Helper()
	err := store.Reject(s.ctx, rejection)
	s.call("%s.Reject(%s) = %v", store.name, showRejection(rejection), err)
	s.want(err == nil, "no error")
}

func (s *suite) hold(store *handle, wait time.Duration, failure roomtoken.Failure) {
	s.Helper()
	err := store.Hold(s.ctx, wait, failure)
	s.call("%s.Hold(%v, %s) = %v", store.name, wait, showFailure(failure), err)
	s.want(err == nil, "no error")
}

func (s *suite) news(store *handle, since string) roomtoken.News {
	s.Helper()
	news, err := store.News(s.ctx, since)
	s.call("%s.News(%q) = %s", store.name, since, showNews(news, err))
	s.want(err == nil, "no error")
	return news
}

// wantOneAnswer checks what holds for every Entry.
func (s *suite) wantOneAnswer(entry roomtoken.Entry) {
	s.Helper()
	answers := 0
	for _, set := range []bool{!entry.Record.IsZero(), !entry.Lease.IsZero(), entry.Busy != 0, entry.NotBefore != 0, entry.Degraded != nil} {
		if set {
			answers++
		}
	}
	s.want(answers <= 1, "at most one of Record, Lease, Busy, NotBefore and Degraded")
}

// record returns a record that the lease may bring. Its token lives for an hour.
func (s *suite) record(lease roomtoken.Lease, name string) roomtoken.Record {
	return roomtoken.Record{
		Version:         max(lease.Version+1, uint64(max(lease.Granted, 0))),
		Token:           roomtoken.NewSecret(name),
		RefreshToken:    roomtoken.NewSecret("refresh-" + name),
		Began:           lease.Granted,
		Lifetime:        long,
		RefreshLifetime: 24 * time.Hour,
		RenewAge:        40 * time.Minute,
		HandOutAge:      time.Second,
	}
}

// fill makes a record of the lobby.
func (s *suite) fill(name string) roomtoken.Record {
	s.Helper()
	return s.renew(roomtoken.Record{}, name)
}

// renew replaces a record of the lobby.
func (s *suite) renew(record roomtoken.Record, name string) roomtoken.Record {
	s.Helper()
	lease := s.lease(s.a, s.newer(record))
	renewed := s.record(lease, name)
	s.taken(s.a, lease, roomtoken.Result{Record: renewed})
	return renewed
}

// failFor makes a failure of the lobby that is in force for d.
func (s *suite) failFor(d time.Duration) roomtoken.Failure {
	s.Helper()
	failure := roomtoken.Failure{Kind: roomtoken.FailureTransient, Count: 3, Text: "gone"}
	s.taken(s.a, s.lease(s.a, s.ask()), roomtoken.Result{Failure: failure, NotBefore: d})
	return failure
}

// refusal returns the rejection of a token that would live for a long time.
func refusal(record roomtoken.Record) roomtoken.Rejection {
	return roomtoken.Rejection{RoomID: lobby, Token: record.Token.Digest(), Left: long, Refusals: 1}
}

// wantRecord checks that an answer is a record.
func (s *suite) wantRecord(got, record roomtoken.Record) {
	s.Helper()
	s.want(equal(got, record), "%s", showRecord(record))
}

// wantLoaded checks that both processes see the record of the lobby; the zero Record: none.
func (s *suite) wantLoaded(record roomtoken.Record) {
	s.Helper()
	for _, store := range []*handle{s.a, s.b} {
		got := s.load(store, lobby)[0].Record
		if record.IsZero() {
			s.want(got.IsZero(), "no record")
		} else {
			s.wantRecord(got, record)
		}
	}
}

// equal reports whether two records are the same.
func equal(a, b roomtoken.Record) bool {
	same := a.Token.Equal(b.Token) && a.RefreshToken.Equal(b.RefreshToken)
	a.Token, a.RefreshToken, b.Token, b.RefreshToken = roomtoken.Secret{}, roomtoken.Secret{}, roomtoken.Secret{}, roomtoken.Secret{}
	return same && fmt.Sprint(a) == fmt.Sprint(b)
}

// advance lets d pass, and what is over after d be over.
func (s *suite) advance(d time.Duration) {
	s.call("%v pass", d)
	if s.harness.Advance != nil {
		s.harness.Advance(d + s.tolerance())
	} else {
		time.Sleep(d + s.tolerance())
	}
}

func (s *suite) tolerance() time.Duration {
	if s.harness.Tolerance > 0 {
		return s.harness.Tolerance
	}
	return defaultTolerance
}

// about reports whether a duration is one that began with want during the check.
func (s *suite) about(got, want time.Duration) bool {
	passed := s.tolerance()
	if s.harness.Advance == nil {
		passed += time.Since(s.began)
	}
	return want-passed <= got && got <= want+s.tolerance()
}
