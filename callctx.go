package roomtoken

import (
	"context"
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/roomtoken/roomtoken/internal/monotime"
)

// callCtx is the ctx that the source gets: it ends at CallTimeout on the Manager's clock,
// with Close, and when the source has returned. If that is the real clock, it also has a
// deadline. It has the values of the ctx of the first of those who wait.
//
// It becomes a ctx of package context, with a timer of its own, when it is first used. A
// source that answers from memory need not pay for that. It is safe for concurrent use.
type callCtx struct {
	engine *engine
	values context.Context //nolint:containedctx // nil: nobody waits; only its values count
	until  monotime.Time

	mu     sync.Mutex
	used   context.Context //nolint:containedctx // it is one; nil: not yet used
	cancel func(cause error)
	cause  error // with which it has ended; nil: it has not, or by itself
}

// use returns it as a ctx of package context.
func (c *callCtx) use() context.Context {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.used == nil {
		c.used, c.cancel = c.make()
		if c.cause != nil {
			c.cancel(c.cause)
		}
	}
	return c.used
}

func (c *callCtx) make() (context.Context, func(error)) {
	e := c.engine
	parent := e.life
	if c.values != nil {
		parent = valuesCtx{e.life, context.WithoutCancel(c.values)}
	}
	if !e.clock.IsReal() {
		return context.WithCancelCause(parent)
	}
	ctx, cancel := context.WithTimeoutCause(parent, c.until.Sub(e.clock.Now().Mono), errCallTimeout)
	return ctx, func(error) { cancel() }
}

// end ends it because the source has returned.
func (c *callCtx) end() { c.endWith(context.Canceled) }

// timeOut ends it because CallTimeout has passed. With a deadline it ends by itself.
func (c *callCtx) timeOut() {
	if !c.engine.clock.IsReal() {
		c.endWith(errCallTimeout)
	}
}

// endWith ends it, if it has not ended before.
func (c *callCtx) endWith(cause error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.cause != nil {
		return
	}
	c.cause = cause
	if c.cancel != nil {
		c.cancel(cause)
	}
}

// String returns the name of the type.
func (*callCtx) String() string { return "roomtoken.callCtx" }

// Format implements [fmt.Formatter]: the name for every verb. Otherwise %#v would print the
// values, and read what others write.
func (c *callCtx) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, c.String()) }

// Deadline implements [context.Context].
func (c *callCtx) Deadline() (deadline time.Time, ok bool) { return c.use().Deadline() }

// Done implements [context.Context].
func (c *callCtx) Done() <-chan struct{} { return c.use().Done() }

// Err implements [context.Context].
func (c *callCtx) Err() error { return c.use().Err() }

// Value implements [context.Context].
func (c *callCtx) Value(key any) any { return c.use().Value(key) }
