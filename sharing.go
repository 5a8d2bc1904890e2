package roomtoken

import (
	"crypto/rand"
	"slices"
	"time"

	"github.com/roomtoken/roomtoken/internal/monotime"
	"github.com/roomtoken/roomtoken/internal/queue"
)

// sharing is what an engine with a Store knows beside its rooms. The engine's lock guards
// it. An engine without a Store has a nil one, whose methods do nothing.
type sharing struct {
	store   Store         // constant
	timeout time.Duration // Config.StoreTimeout; constant

	rooms     map[*room]*share                    // what is known of the store's entry of a room
	looks     *queue.Queue[monotime.Time, *share] // rooms in line, by when the store is asked whether it has a token
	forgotten map[string]struct{}                 // rooms whose next ask disregards the failure
	refused   map[string][]refusal                // tokens that must not be adopted, by room

	link   link
	outbox outbox

	running   int // calls of the store that have not returned
	abandoned int // those of them for which nobody waits any longer
	asking    int // calls in engine.calls that ask for a lease; no source call has begun

	granted monotime.Time // when the newest record began that another process got

	loops  int           // goroutines that read the news and wait for wakes
	heard  monotime.Time // when a wake came last; 0: never
	cursor string        // of the news
	missed *cursor       // the rooms that are yet to be looked up again, because news was missed; nil: none
	hold   string        // the ID of the hold that was learned last; "": none
	held   monotime.Time // until when this process holds its calls back because of it
	over   bool          // that it is over was learned, too
}

// share is what a process knows of the store's entry of a room.
type share struct {
	room *room

	version uint64 // of the newest record that is known; 0: none
	lease   Lease  // kept for the create that follows a refused refresh token

	// The clock of the store when it was asked last, and the process's own before that:
	// so nothing is taken for younger than it is.
	storeTime StoreTime
	asked     monotime.Reading

	granted monotime.Time // when the last lease came that it got

	lookAt monotime.Time // another has the lease: the store is not asked before; 0: it has not
	leased monotime.Time // when that lease ends
	polls  int           // asks in a row that found another's lease
	waits  bool          // the last of them left word to be woken
	woken  bool          // a wake came while the store was asked

	putOff monotime.Time // no renewal without the store before; 0: not drawn yet
	looked monotime.Time // when the store was asked last

	fresh bool // the next ask disregards the failure

	position queue.Position // in sharing.looks
}

// refusal is a token that was refused, for as long as it would have lived.
type refusal struct {
	Rejection
	until monotime.Time
}

// maxRefusals is how many refused tokens of a room a process remembers.
const maxRefusals = 8

func newSharing(config Config) *sharing {
	if config.Store == nil {
		return nil
	}
	s := &sharing{
		store:     config.Store,
		timeout:   config.StoreTimeout,
		rooms:     make(map[*room]*share),
		forgotten: make(map[string]struct{}),
		refused:   make(map[string][]refusal),
	}
	s.emptyQueues()
	return s
}

// emptyQueues makes the queue of looks anew.
func (s *sharing) emptyQueues() {
	s.looks = queue.New[monotime.Time](func(sh *share) *queue.Position { return &sh.position })
}

// of returns what is known of the room, created if need be.
func (s *sharing) of(r *room) *share {
	sh := s.rooms[r]
	if sh == nil {
		sh = &share{room: r}
		s.rooms[r] = sh
	}
	return sh
}

// known returns what is known of the room, nil if nothing is.
func (s *sharing) known(r *room) *share {
	if s == nil {
		return nil
	}
	return s.rooms[r]
}

// leaveLine notes that the room stands in no line any more.
func (s *sharing) leaveLine(r *room) {
	if sh := s.known(r); sh != nil {
		s.looks.Remove(sh)
	}
}

// forget makes the room's next ask disregard the failure that the store knows, also where
// the room is dropped.
func (s *sharing) forget(roomID string) {
	if s == nil {
		return
	}
	if len(s.forgotten) >= maxMemo {
		clear(s.forgotten)
	}
	s.forgotten[roomID] = struct{}{}
}

// retry makes the next ask of a room that has failed disregard the failure.
func (s *sharing) retry(r *room) {
	if s != nil && r.failure().total() > 0 {
		s.of(r).fresh = true
	}
}

// wakesArrive reports whether a wake, or a sign that they arrive, came of late.
func (s *sharing) wakesArrive(now monotime.Reading) bool {
	return s.heard > 0 && now.Mono.Sub(s.heard) < 15*time.Second
}

// refuse remembers a token that must not be adopted, also where its room is dropped.
func (s *sharing) refuse(rejection Rejection, now monotime.Reading) {
	if len(s.refused) >= maxMemo {
		s.forgetRefusals(now)
	}
	list := slices.DeleteFunc(s.refused[rejection.RoomID], func(old refusal) bool {
		return !old.until.After(now.Mono) || old.Token == rejection.Token
	})
	if len(list) == maxRefusals {
		list = slices.Delete(list, 0, 1)
	}
	s.refused[rejection.RoomID] = append(list, refusal{rejection, now.Mono.Add(rejection.Left)})
}

// forgetRefusals makes space for more: tokens that have ended go first.
func (s *sharing) forgetRefusals(now monotime.Reading) {
	for roomID, list := range s.refused {
		if !slices.ContainsFunc(list, func(r refusal) bool { return r.until.After(now.Mono) }) {
			delete(s.refused, roomID)
		}
	}
	for roomID := range s.refused {
		if len(s.refused) < maxMemo {
			return
		}
		delete(s.refused, roomID)
	}
}

// refuses reports whether the token must not be adopted.
func (s *sharing) refuses(roomID string, token Secret) bool {
	list := s.refused[roomID]
	return len(list) > 0 && slices.ContainsFunc(list, func(r refusal) bool { return r.Token == token.Digest() })
}

// lastRefused returns the room's token that was refused last, for the store; the zero
// Rejection if there is none that would still live.
func (s *sharing) lastRefused(roomID string, now monotime.Reading) Rejection {
	list := s.refused[roomID]
	if len(list) == 0 {
		return Rejection{}
	}
	last := list[len(list)-1]
	if last.Left = last.until.Sub(now.Mono); last.Left <= 0 {
		return Rejection{}
	}
	return last.Rejection
}

// age returns how old a record was when the store was asked last.
func (sh *share) age(rec Record) time.Duration { return max(sh.storeTime.Sub(rec.Began), 0) }

// forgetShare drops what is known of a room that is dropped, and gives its lease back.
func (e *engine) forgetShare(r *room) {
	if e.share != nil {
		e.dropLease(r)
		delete(e.share.rooms, r)
	}
}

// leasedElsewhere returns for how long another process may yet get the room's token, 0 if
// none does.
func (e *engine) leasedElsewhere(r *room, now monotime.Reading) time.Duration {
	sh := e.share.known(r)
	if sh == nil || sh.lookAt == 0 {
		return 0
	}
	return max(sh.leased.Sub(now.Mono), 0)
}

// startSharing begins to listen to the fleet. It needs no lock.
func (e *engine) startSharing() {
	e.share.loops = 1
	waker, ok := e.share.store.(Waker)
	if ok {
		e.share.loops++
		go e.awaitWakes(waker)
	}
	go e.readNews()
}

// closeSharing gives back the leases of the calls in flight.
func (e *engine) closeSharing() {
	s := e.share
	s.emptyQueues()
	if s.link.down {
		s.outbox.next = nil
	} else { // once more
		s.outbox.next = append(s.outbox.next, s.outbox.again...)
	}
	s.outbox.again = nil
	for _, c := range e.calls {
		if c.lease != nil {
			e.returnLease(c)
		}
	}
	clear(s.rooms)
	e.sendOutbox()
}

// sharing reports whether something is under way that Close waits for.
func (e *engine) sharing() bool {
	s := e.share
	return s != nil && (s.loops > 0 || s.running > s.abandoned || len(s.outbox.next) > 0 && !s.link.down)
}

// newAskID returns a name for an ask that no other process draws.
func newAskID() string { return rand.Text() }
