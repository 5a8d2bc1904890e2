package roomtoken

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"reflect"
	"time"

	"github.com/roomtoken/roomtoken/internal/monotime"
)

// Manager keeps the tokens of many rooms fresh and hands them out. Most callers want
// [Manager.Token]; if you hold a long connection, use [Manager.Watch].
//
// All methods are safe for concurrent use. Close a Manager that is no longer used.
type Manager struct {
	// What a hit reads, beside the engine to save a step.
	cache *cache
	clock *monotime.Clock

	// A pointer because fmt walks a struct by reflection where it calls no method (a
	// Manager under %w): it prints this address then.
	engine *engine
}

// NewManager returns a Manager that gets its tokens from source. The error names
// everything that is wrong: a source that is nil or holds a nil pointer, and every invalid
// field of config.
//
// It starts one goroutine; with a [Store] one more for its news, and one for its wakes if it
// is a [Waker]. [Manager.Close] ends them.
func NewManager(source TokenSource, config Config) (*Manager, error) {
	full, err := config.withDefaults()
	if err := errors.Join(checkSource(source), err); err != nil {
		return nil, err
	}
	e := newEngine(source, full, full.renewal(config.MinValidity > 0))
	go e.schedule()
	if e.share != nil {
		e.startSharing()
	}
	return &Manager{cache: e.cache, clock: e.clock, engine: e}, nil
}

// checkSource returns an error if source is nil, or holds a nil pointer or function.
func checkSource(source TokenSource) error {
	if source == nil {
		return errors.New("roomtoken: NewManager needs a TokenSource, not nil")
	}
	if isNil(source) {
		return fmt.Errorf("roomtoken: NewManager needs a TokenSource, not a nil %T", source)
	}
	return nil
}

// isNil reports whether v, which is not nil itself, holds a nil pointer or function.
func isNil(v any) bool {
	value := reflect.ValueOf(v)
	k := value.Kind()
	return (k == reflect.Pointer || k == reflect.Func) && value.IsNil()
}

const notMade = "roomtoken: the Manager is nil or zero: NewManager makes one"

// core returns the engine. It panics if the Manager was not made by NewManager.
func (m *Manager) core() *engine {
	if m == nil || m.engine == nil {
		panic(notMade)
	}
	return m.engine
}

// checkCtx panics if ctx is nil.
func checkCtx(ctx context.Context) {
	if ctx == nil {
		panic("roomtoken: nil context")
	}
}

// Token returns a token for the room. While there is a valid one it comes from memory,
// in nanoseconds, and ctx is not looked at. Otherwise Token waits for one.
//
// The token is valid for at least Config.MinValidity, which holds up to a part of its
// lifetime. All callers who wait for a room share one call to the source, which
// goes on whoever leaves.
//
// The wait ends without a token, and with an [Error] that says why,
//
//   - when ctx ends: the error wraps its Err, its [context.Cause], and the last error
//     of the source;
//   - when Config.MaxWait has passed, or the next attempt lies beyond MaxWait or the
//     ctx's deadline: the error wraps the last error of the source, or
//     [context.DeadlineExceeded] if the source has not failed;
//   - at once after a permanent failure ([ErrPermanent]), while the room's call has not
//     returned although CallTimeout has passed, where Config.MaxRooms leaves no space
//     ([ErrTooManyRooms]), and after Close ([ErrClosed]).
//
// A room ID is any string of 1 to 1,024 bytes. Other IDs get an error that wraps
// ErrPermanent, without a call. A nil ctx panics, unless the token is in memory.
func (m *Manager) Token(ctx context.Context, roomID string) (Token, error) {
	if m == nil || m.cache == nil {
		panic(notMade)
	}
	// This is engine.hit, written out: calling it would cost two percent.
	if rec := m.cache.get(roomID); rec != nil {
		validity := rec.validity()
		if now := m.clock.Now(); validity.covers(m.clock, now, 0) {
			if rec.lastUsed.Load() != tick(now) {
				m.engine.touch(rec, now)
			}
			return rec.token(), nil
		}
	}
	return m.wait(ctx, roomID, 0)
}

// TokenValidFor is like Token, for callers who need the token to live for at least
// atLeast from now on. If the token in memory does not, it is renewed ahead of time.
//
// [ErrTooShort] means that no token of this source would do: the newest known lifetime
// is less than atLeast, or a token minted after TokenValidFor was called had less left
// when it came.
func (m *Manager) TokenValidFor(ctx context.Context, roomID string, atLeast time.Duration) (Token, error) {
	if rec := m.core().hit(roomID, atLeast); rec != nil {
		return rec.token(), nil
	}
	return m.wait(ctx, roomID, max(atLeast, 0))
}

func (m *Manager) wait(ctx context.Context, roomID string, atLeast time.Duration) (Token, error) {
	checkCtx(ctx)
	e := m.engine
	began := e.clock.Now().Mono
	w := newWaiter(ctx, e, roomID, atLeast, max(e.config.MaxWait, 0))
	tok, err := w.await()
	if w.waiting {
		e.waits.observe(e.clock.Now().Mono.Sub(began), err)
	}
	return tok, err
}

// Cached returns the room's token if there is a valid one in memory. It never calls
// the source and never waits. It does not count as asking for the room: it neither
// keeps the token fresh nor the room in memory.
func (m *Manager) Cached(roomID string) (Token, bool) {
	rec := m.core().cache.get(roomID)
	if rec == nil || !m.engine.valid(rec, m.clock.Now(), 0) {
		return Token{}, false
	}
	return rec.token(), true
}

// Watch yields the room's token, and then each newer one as it comes. If you hold a
// connection longer than a token lives, Watch pushes each new token to you. The room
// is kept fresh for as long as the watch lasts.
//
// Each range over the result is a watch of its own and runs on the caller's goroutine.
// A slow consumer misses outdated tokens and gets the latest one when it comes back.
// Each pair holds a token and a nil error, or a zero Token and an error:
//
//   - The last valid token has expired and replacing it has failed. This comes once;
//     another such error comes only after a token, or if the failure is a different
//     one. The watch goes on, and so do the attempts.
//   - The watch has ended: [ErrClosed], or an [Error] that wraps the Err and the cause
//     of the ctx (see [context.Cause]), [ErrTooManyRooms], or what is wrong with the
//     room ID. This is the last pair.
//
// There is no last pair when the consumer leaves the loop. Forget does not end a
// watch: the room starts over.
func (m *Manager) Watch(ctx context.Context, roomID string) iter.Seq2[Token, error] {
	checkCtx(ctx)
	e := m.core()
	return func(yield func(Token, error) bool) {
		newWatch(ctx, e, roomID).run(yield)
	}
}

// Warm gets a token for every room that has none, with at most
// Config.MaxConcurrentCalls calls at a time. It returns when all rooms have a token or
// have failed permanently, or when ctx ends; Config.MaxWait does not apply. Calls for
// rooms that somebody else waits for go first, so that a service can warm its rooms
// while it serves.
//
// The error has a method Unwrap() []error that returns an [Error] for each room without
// a token. Its text names the first ten of them, and how many there are.
func (m *Manager) Warm(ctx context.Context, roomIDs ...string) error {
	checkCtx(ctx)
	return m.core().warm(ctx, roomIDs)
}

// Invalidate drops the room's token because somebody refused it: the token is not
// handed out again, and the next call for the room is a create. It drops exactly the
// token that was refused, compared by value, and reports whether it did. A newer token
// stays, so a hundred parallel refusals cost one call. A call in flight continues; if
// it returns the refused token, it has failed.
//
// A token that is refused before its renewal was due counts as a failed attempt. The
// replacement of the first such token is handed out at once; further ones in a row are
// created at once too, but handed out only after a step of the backoff, at most a third of
// their lifetime. So a server that accepts a token only some time after its issue is
// served, and one that refuses everything sets off no loop.
func (m *Manager) Invalidate(roomID string, rejected Token) bool {
	return m.core().invalidate(roomID, rejected.Value)
}

// Forget drops the room, its tokens and the memory of its failures. Callers who wait
// for a call in flight get its result, which is not kept. Callers who wait for the end
// of a backoff try again at once. Watches go on and start over. A hold of the account
// stays (see [ErrRateLimited]).
func (m *Manager) Forget(roomID string) { m.core().forget(roomID) }

// ResetBackoff forgets waits, holds and permanent errors of these rooms, and tries them
// now if somebody waits or they are in use. Without a room ID it does so for all rooms
// and for the source as a whole: call it when you know that the network is back, or that
// the API key was mended. If a call in flight fails, it is tried again at once.
func (m *Manager) ResetBackoff(roomIDs ...string) { m.core().resetBackoff(roomIDs) }

// Stats returns the counters and gauges at this moment. Its cost does not depend on
// the number of rooms.
func (m *Manager) Stats() Stats { return m.core().statistics() }

// Room returns the status of a room; ok is false if the room is not in memory. It does
// not count as asking for the room.
func (m *Manager) Room(roomID string) (status RoomStatus, ok bool) { return m.core().room(roomID) }

// Rooms yields the status of every room in memory, in no particular order, each as it
// is at the moment it is yielded. Rooms that come or go meanwhile may be missing, or come
// twice. No lock is held while the consumer runs.
func (m *Manager) Rooms() iter.Seq[RoomStatus] { return m.core().allRooms }

// Scan is Rooms for those who look at very many rooms: it leaves Fingerprint empty, which
// costs more than all the rest, and takes the lock once for many rooms. What it yields is
// valid until the next iteration.
func (m *Manager) Scan() iter.Seq[*RoomStatus] { return m.core().scan }

// Close shuts the Manager down: it forgets all rooms, cancels the calls in flight, and
// waits until they have returned, for at most Config.CallTimeout. If some have not, it
// returns an error that says how many. After that every call returns [ErrClosed], and
// every Watch ends with it.
//
// Close may be called more than once, from several goroutines, from Config.OnEvent,
// and from the body of a Watch.
func (m *Manager) Close() error { return m.core().close() }

// Format implements [fmt.Formatter]: for every verb, a line with the number of rooms
// and calls.
func (m *Manager) Format(f fmt.State, _ rune) {
	switch {
	case m == nil:
		_, _ = io.WriteString(f, "roomtoken.Manager(nil)")
		return
	case m.engine == nil:
		_, _ = io.WriteString(f, "roomtoken.Manager{}")
		return
	}
	s := m.Stats()
	_, _ = fmt.Fprintf(f, "roomtoken.Manager{rooms: %d, calls in flight: %d, queued: %d}", s.Rooms, s.CallsInFlight, s.CallsQueued)
}
