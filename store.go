package roomtoken

import (
	"context"
	"crypto/sha256"
	"time"
)

// Store is where the processes of a fleet share their tokens, see [Config].Store. Package
// redisstore, in extra/redisstore, has one for Redis and Valkey; package storetest tests
// others.
//
// For each room a Store keeps at most one record (a token and its refresh token), one
// lease, one failure, and tombstones of tokens that were refused. All that it measures it
// measures on one clock, its own, and it keeps nothing for longer than it is of use: a
// record and a tombstone end with their token, a lease and a failure after the time that
// they were given.
//
// Each method is atomic for a room: of two that run at a time one comes first. An error
// means that there is no answer, whatever the reason: the Manager then goes on by itself.
// What cannot be read, or is damaged, is no error but counts as absent, see
// Entry.Unreadable.
//
// A method should return when its ctx ends. The Manager does not rely on it: it stops
// waiting after Config.StoreTimeout, by its own clock, and at most 32 calls of a Manager
// run at a time, those included that it no longer waits for. What is read must be the
// present state and no replica's.
//
// Methods must be safe for concurrent use, also by several Managers. A panic in a method
// is an error of that call.
type Store interface {
	// Load looks up rooms, at most [MaxLoad], in their order. It sets only Now, Record,
	// Unreadable and, where there is no record, NotBefore and Failure of a failure in force.
	Load(ctx context.Context, roomIDs []string) ([]Entry, error)

	// Acquire asks for a room. In this order:
	//
	//   - Where ask.Refused names the token of the record, the record is dropped; in any
	//     case a tombstone is left, as by Reject.
	//   - If the record is newer than ask.Newer, it is the answer.
	//   - If another ask has the lease, the answer is Busy. With ask.Wait the asker is
	//     told when the lease ends, see [Waker]. A lease that lasts for more than ten times
	//     ask.TTL from now on is none.
	//   - If a failure is in force, and not ask.Fresh, the answer is NotBefore.
	//   - Else the asker gets the lease, unless ask.Look. Where the Store takes no writes
	//     but can be read, the answer is Degraded instead.
	//
	// Acquire is repeatable: with the same ask.ID it gives the same lease again.
	Acquire(ctx context.Context, ask Ask) (Entry, error)

	// Commit ends a lease with its result. The result is taken if the lease is still in
	// force, or if the record is not newer than the one that the lease was given on;
	// never if the result's record is not newer than the one there, or its token has a
	// tombstone. With the lease in force, those who were told to wait for it are woken,
	// see [Waker], whether the result is taken or not.
	//
	// A record replaces the record and ends the failure. A failure is in force for
	// result.NotBefore, more than 24 h counts as none, and its Count is remembered for
	// twice as long and a minute more; the record stays. An empty result gives the lease
	// back and changes nothing else.
	Commit(ctx context.Context, lease Lease, result Result) (Committed, error)

	// Reject drops the record if it holds exactly that token, leaves a tombstone for
	// rejection.Left, and tells it in the news. Where there is no record now, the most
	// rejection.Refusals that was told since the last one is handed out with the next
	// lease.
	Reject(ctx context.Context, rejection Rejection) error

	// Hold tells, in the news, that the source asked all callers to wait. A hold that
	// would end before the present one changes nothing. With wait 0, a call was answered:
	// the hold is over if its time has passed.
	Hold(ctx context.Context, wait time.Duration, failure Failure) error

	// News returns the rejections since a cursor that an earlier call has returned, and
	// the hold. With "", all rejections that are known: at least those of the last minute.
	News(ctx context.Context, since string) (News, error)
}

// Waker is what a [Store] may implement besides, so that those who wait for another
// process's lease need not ask again and again.
type Waker interface {
	// Wake calls wake soon after a lease ended on which an ask with Wait of this process
	// was refused, with the record if the lease ended with one, else with none. Wakes may
	// be lost, come twice, or too late. wake does not block and may be called
	// concurrently.
	//
	// Wake also calls wake with an empty room ID whenever it has seen that wakes arrive:
	// soon after it was called, then at least every 10 s. The Manager asks again at short
	// intervals while it has not heard so.
	//
	// It returns when ctx ends, or with an error if it cannot go on; the Manager then
	// calls it again later.
	Wake(ctx context.Context, wake func(roomID string, record Record)) error
}

// MaxLoad is how many rooms a Manager asks [Store].Load for at a time, at most.
const MaxLoad = 500

// StoreTime is an instant on the clock of a [Store], in microseconds. Where it begins is
// the Store's choice. Only the clock of the Store matters: those of the processes may
// differ.
type StoreTime int64

// Add returns t + d.
func (t StoreTime) Add(d time.Duration) StoreTime { return t + StoreTime(d.Microseconds()) }

// Sub returns t - u. It saturates at 100 years.
func (t StoreTime) Sub(u StoreTime) time.Duration {
	const most = StoreTime(maxLife / time.Microsecond)
	switch d := t - u; {
	case t > u && (d < 0 || d > most):
		return maxLife
	case t < u && (d > 0 || d < -most):
		return -maxLife
	default:
		return time.Duration(d) * time.Microsecond
	}
}

// Record is a token as the processes of a fleet share it. A Store must not show Token and
// RefreshToken to others; package storeseal seals a Record. Where processes have different
// keys, a Store may keep a record for each key, of which a process sees its own.
type Record struct {
	Version uint64 // greater than that of every earlier record of the room; not 0

	Token        Secret
	RefreshToken Secret // zero: there is none

	Began           StoreTime     // when the lifetimes began, at the latest
	Lifetime        time.Duration // of Token
	RefreshLifetime time.Duration // of RefreshToken; 0: unknown, it is good until it is refused

	RenewAge   time.Duration // the age of the token at which its renewal is due
	HandOutAge time.Duration // the age before which the token is not handed out
	Refusals   int           // how many tokens in a row, before this one, were refused soon after their issue
}

// IsZero reports whether there is no record.
func (r Record) IsZero() bool { return r.Token.IsZero() }

// Ends returns when the token ends, and with it the record.
func (r Record) Ends() StoreTime { return r.Began.Add(r.Lifetime) }

// Digest names a token without showing it: the first 16 bytes of its SHA-256. Like
// [Secret.Fingerprint] it cannot be reversed for values that are hard to guess, as tokens
// are.
type Digest [16]byte

// Digest returns the token's digest, the zero Digest for the zero Secret.
func (s Secret) Digest() Digest {
	if s.IsZero() {
		return Digest{}
	}
	sum := sha256.Sum256([]byte(*s.value))
	return Digest(sum[:16])
}

// IsZero reports whether the Digest names no token.
func (d Digest) IsZero() bool { return d == Digest{} }

// Ask is what a process wants to know of a room, see [Store].Acquire.
type Ask struct {
	RoomID string
	ID     string // names the lease that the asker gets; no two asks have the same

	Newer   uint64    // the version that the asker has; 0: none
	Refused Rejection // the token that the asker knows to be refused; the zero Digest: none

	TTL   time.Duration // of the lease, from now on; a Look has it, too
	Look  bool          // give no lease
	Wait  bool          // somebody waits for the answer: tell when another's lease ends
	Fresh bool          // disregard the failure: somebody asked for a new attempt
}

// Entry is what a [Store] says of a room. At most one of Record, Lease, Busy, NotBefore
// and Degraded is set.
type Entry struct {
	Now StoreTime // when the Store answered

	Record    Record        // the newer record
	Lease     Lease         // the asker has the lease
	Busy      time.Duration // another has the lease, for so long at most
	NotBefore time.Duration // the failure of another is in force for so long
	Degraded  error         // nobody has the lease, but none can be given: the Store takes no writes

	Failure  Failure // with NotBefore or Lease: the room's last failure, if it is remembered
	Refusals int     // with Lease: how many tokens in a row were refused soon after their issue

	// Unreadable says why the room's record counts as absent: it is damaged, no key opens
	// it, or this release does not know its schema. It is no failure of the Store.
	Unreadable error
}

// Lease is the right to call the source for a room, for as long as it lasts. The zero
// Lease is none.
type Lease struct {
	RoomID  string
	ID      string    // of the Ask that it was given to
	Version uint64    // of the record that it was given on; 0: there was none
	Granted StoreTime // when it was given
}

// IsZero reports whether there is no lease.
func (l Lease) IsZero() bool { return l.ID == "" }

// next returns the version of the record that the lease brings: also greater than those
// that a store had which has lost its records since.
func (l Lease) next() uint64 { return max(l.Version+1, uint64(max(l.Granted, 0))) }

// Result is what came of a lease: a record, a failure, or neither.
type Result struct {
	Record    Record
	Failure   Failure
	NotBefore time.Duration // the failure is in force for so long
}

// Committed is the answer of [Store].Commit.
type Committed struct {
	Now   StoreTime // when the Store answered
	Taken bool      // the result was taken
	Newer Record    // otherwise: the record because of which it was not, if there is one
}

// FailureKind is the kind of a [Failure]. The numbers are stored, and do not change.
type FailureKind uint8

// The kinds of failures.
const (
	FailureTransient    FailureKind = 1 // the same call later may succeed
	FailurePermanent    FailureKind = 2 // as ErrPermanent
	FailureNotFound     FailureKind = 3 // as ErrRoomNotFound
	FailureUnauthorized FailureKind = 4 // as ErrUnauthorized
	FailureRateLimited  FailureKind = 5 // as ErrRateLimited, of all rooms
)

// Failure is a failure of the source that one process has met and tells the others. The
// zero Failure is none. Of a kind that is not known it counts as transient.
type Failure struct {
	Kind  FailureKind
	Count int    // of such failures in a row
	Text  string // of the error, at most 1,024 bytes; it holds no secret
}

// Rejection says that a token was refused by the servers that it is meant for.
type Rejection struct {
	RoomID   string
	Token    Digest
	Left     time.Duration // for how long the token would have lived
	Refusals int           // how many tokens in a row, with this one, were refused soon after their issue; 0: it had lasted
}

// News is what the processes of a fleet have to tell all others.
type News struct {
	Cursor     string      // for the next call
	Rejections []Rejection // since then, oldest first
	Missed     bool        // there were more: the Store has forgotten some, or does not know the cursor
	Hold       Hold
}

// Hold is a wait that the source asked of all callers, by a rate limit. The zero Hold is
// none.
type Hold struct {
	ID      string        // another one for each hold, and each time it is made longer
	Wait    time.Duration // that was asked for; more than 24 h counts as none
	Left    time.Duration // of it; 0: it has passed
	Over    bool          // it has passed, and a call was answered since
	Failure Failure
}
