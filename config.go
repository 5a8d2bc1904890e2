package roomtoken

import (
	"errors"
	"fmt"
	"log/slog"
	"math"
	"time"

	"github.com/benbjohnson/clock"

	"github.com/roomtoken/roomtoken/internal/policy"
)

// Config configures a [Manager]. The zero Config uses the defaults. In every field,
// zero means the default; a negative value means "none" where that makes sense, and is
// an error elsewhere.
type Config struct {
	// RefreshAfter is the fraction of a token's lifetime after which it is renewed:
	// more than 0 and at most 0.85. Defaults to 2/3.
	RefreshAfter float64

	// Jitter is the fraction of a token's lifetime by which a renewal is advanced, at
	// most; how much is drawn once per token. It keeps tokens that were issued together
	// from being renewed together. It must be less than RefreshAfter. Negative: none.
	// Defaults to 0.1, or to half of RefreshAfter where that is less.
	Jitter float64

	// MinValidity is the least time that a token has left when it is handed out, or half
	// of the token's lifetime where that is less. Renewals come earlier to keep it.
	// Negative: none, tokens are handed out until they expire. Defaults to 30 s, or to a
	// tenth of the lifetime where that is less.
	MinValidity time.Duration

	// IdleAfter is how long a room is kept fresh after it was last asked for or
	// watched. Then it is no longer renewed, and dropped when its token expires. It is
	// counted in steps of about half a second, and at least one. Negative: rooms are
	// kept fresh until they are forgotten. Defaults to 30 min.
	IdleAfter time.Duration

	// MaxRooms bounds the number of rooms in memory. Beyond it rooms without a token
	// are evicted first, then one of the least recently used. Negative: no bound. Defaults
	// to 100,000.
	MaxRooms int

	// MaxConcurrentCalls bounds the number of calls to the source at a time. A quarter
	// of them, rounded down, is kept for renewals and a quarter for callers who wait; most
	// of it is lent while there are none. Defaults to 64.
	//
	// It bounds how many rooms can be kept fresh: the number of rooms times the
	// duration of a call, divided by the time between two renewals of a room, must be
	// less than MaxConcurrentCalls.
	MaxConcurrentCalls int

	// CallsPerSecond bounds how many calls begin per second, for accounts whose limit is
	// known. Calls are spaced evenly; where a timer was late by up to 25 ms, that is made up
	// for. 0: no bound of the Manager's own; a rate limit that the source reports slows the
	// calls down in any case.
	CallsPerSecond float64

	// CallTimeout is the time after which a call to the source counts as failed.
	// Defaults to 10 s.
	CallTimeout time.Duration

	// MaxWait bounds how long [Manager.Token] waits for a token, whatever its ctx
	// allows. Negative: only the ctx bounds the wait. Defaults to 30 s.
	MaxWait time.Duration

	// BackoffMin is the shortest wait after the first transient failure of a room, or
	// before the first probe of a source that fails for all rooms. The wait doubles with
	// each failure, and is drawn from its value to 1.5 times that. Defaults to 500 ms.
	BackoffMin time.Duration

	// BackoffMax is the longest wait after a transient failure, unless the server asks
	// for more. At least BackoffMin. Defaults to 30 s, or to BackoffMin where that is
	// more.
	BackoffMax time.Duration

	// MaxRetryAfter is the longest wait that a server can ask for with a Retry-After; a
	// longer one is cut to it. At most 24 h. Defaults to 10 min. See also
	// [Manager.ResetBackoff].
	MaxRetryAfter time.Duration

	// Store is where the processes of a fleet share tokens: all that are given the same one
	// make one create per room together, and one refresh per renewal. A Store that is slow
	// or down costs sharing, never a token. It must not be a nil pointer. Defaults to none:
	// this process shares nothing.
	Store Store

	// StoreTimeout is how long the Manager waits for an answer of the Store, whatever the
	// Store does. Defaults to 250 ms.
	StoreTimeout time.Duration

	// Clock is a clock for tests. Prefer testing/synctest, which needs none; a
	// *clock.Mock is the second choice. Defaults to the real clock.
	//
	// The Manager only calls its methods Now, Since and AfterFunc: the Timer and Ticker
	// of a *clock.Mock can deadlock when several goroutines use them.
	Clock clock.Clock

	// Logger receives what an operator wants to read. At level Warn: failures, fallbacks,
	// rooms that have lost their token, holds, a Store that is down, records of it that
	// cannot be read, lost leases, and that the source or the Store is back; at most a few
	// lines of each kind per minute, then how many were left out. At Error: a panic in the
	// source, with its stack. At Info: invalidations and recovered rooms. At Debug:
	// everything, also that a room does not exist, which may be anybody's typing error.
	// It never receives a secret. Defaults to none.
	Logger *slog.Logger

	// OnEvent receives everything that happens, in order, one Event at a time, on a
	// goroutine of the Manager. It may call any method of the Manager. If it is slow,
	// it delays only the events behind; when [MaxPendingEvents] are pending, further
	// events are dropped and counted (see [Stats]). A panic in it is contained and
	// logged. Defaults to none. See [Events] for several observers.
	OnEvent func(Event)
}

// The defaults. The doc comments of Config repeat them.
const (
	defaultRefreshAfter       = 2.0 / 3
	defaultJitter             = 0.1
	defaultMinValidity        = 30 * time.Second
	defaultIdleAfter          = 30 * time.Minute
	defaultMaxRooms           = 100_000
	defaultMaxConcurrentCalls = 64
	defaultCallTimeout        = 10 * time.Second
	defaultMaxWait            = 30 * time.Second
	defaultBackoffMin         = 500 * time.Millisecond
	defaultBackoffMax         = 30 * time.Second
	defaultMaxRetryAfter      = 10 * time.Minute
	defaultStoreTimeout       = 250 * time.Millisecond

	maxRefreshAfter = 0.85
)

// maxLife is longer than any token lives, yet short enough to be added to.
const maxLife = 100 * 365 * 24 * time.Hour

// withDefaults returns c with every zero replaced by its default, or an error that
// names every invalid field.
func (c Config) withDefaults() (Config, error) {
	var errs []error
	refuse := func(field string, value any, want string) {
		errs = append(errs, fmt.Errorf("roomtoken: Config.%s is %v; want %s", field, value, want))
	}

	if c.RefreshAfter == 0 {
		c.RefreshAfter = defaultRefreshAfter
	}
	if !(c.RefreshAfter > 0 && c.RefreshAfter <= maxRefreshAfter) { // NaN fails too
		refuse("RefreshAfter", c.RefreshAfter, "more than 0 and at most 0.85")
	}
	switch {
	case c.Jitter == 0:
		c.Jitter = math.Min(defaultJitter, c.RefreshAfter/2)
	case c.Jitter < 0:
		c.Jitter = 0
	case !(c.Jitter < c.RefreshAfter):
		refuse("Jitter", c.Jitter, "less than RefreshAfter")
	}

	setDefault(&c.MinValidity, defaultMinValidity)
	c.MinValidity = max(c.MinValidity, 0)
	setDefault(&c.IdleAfter, defaultIdleAfter)
	setDefault(&c.MaxRooms, defaultMaxRooms)
	setDefault(&c.MaxWait, defaultMaxWait)

	setDefault(&c.MaxConcurrentCalls, defaultMaxConcurrentCalls)
	if c.MaxConcurrentCalls < 0 {
		refuse("MaxConcurrentCalls", c.MaxConcurrentCalls, "at least 1, or 0 for the default")
	}
	setDefault(&c.CallTimeout, defaultCallTimeout)
	if c.CallTimeout < 0 {
		refuse("CallTimeout", c.CallTimeout, "more than 0, or 0 for the default")
	}
	setDefault(&c.BackoffMin, defaultBackoffMin)
	if c.BackoffMin < 0 {
		refuse("BackoffMin", c.BackoffMin, "more than 0, or 0 for the default")
	}
	setDefault(&c.BackoffMax, max(defaultBackoffMax, c.BackoffMin))
	if c.BackoffMax < c.BackoffMin {
		refuse("BackoffMax", c.BackoffMax, fmt.Sprintf("at least BackoffMin, which is %v", c.BackoffMin))
	}

	if !(c.CallsPerSecond >= 0 && !math.IsInf(c.CallsPerSecond, 1)) { // NaN fails too
		refuse("CallsPerSecond", c.CallsPerSecond, "at least 0")
	}
	setDefault(&c.MaxRetryAfter, defaultMaxRetryAfter)
	if c.MaxRetryAfter < 0 || c.MaxRetryAfter > maxRetryAfter {
		refuse("MaxRetryAfter", c.MaxRetryAfter, "more than 0 and at most 24h, or 0 for the default")
	}

	setDefault(&c.StoreTimeout, defaultStoreTimeout)
	if c.StoreTimeout < 0 {
		refuse("StoreTimeout", c.StoreTimeout, "more than 0, or 0 for the default")
	}
	if isNil(c.Store) {
		errs = append(errs, fmt.Errorf("roomtoken: Config.Store is a nil %T", c.Store))
	}

	// A time longer than any token lives is as good as for ever. Sums with it must not
	// overflow.
	for _, d := range []*time.Duration{&c.MinValidity, &c.IdleAfter, &c.CallTimeout, &c.MaxWait, &c.BackoffMin, &c.BackoffMax, &c.StoreTimeout} {
		*d = min(*d, maxLife)
	}
	return c, errors.Join(errs...)
}

func setDefault[T comparable](field *T, value T) {
	var zero T
	if *field == zero {
		*field = value
	}
}

// renewal returns when tokens are renewed. explicit: the user has set MinValidity.
func (c Config) renewal(explicit bool) policy.Renewal {
	return policy.Renewal{After: c.RefreshAfter, Jitter: c.Jitter, MinValidity: c.MinValidity, Explicit: explicit}
}
