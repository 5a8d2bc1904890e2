package telnyx

import (
	"context"
	"fmt"
	"runtime/debug"
	"sync"
)

// maxAbandoned limits the calls of Config.APIKeyFunc that have outlived their ctx.
const maxAbandoned = 16

// keyFunc is Config.APIKeyFunc. Creates that need a key at the same time share one call
// of it, so that one that hangs holds up no more than a goroutine.
type keyFunc struct {
	call func(context.Context) (string, error)

	mu        sync.Mutex
	current   *keyCall // the call to share; nil: the next Create begins one
	abandoned int      // the calls that were abandoned and have not returned
}

// keyCall is a call of Config.APIKeyFunc. The fields but done are set before done is
// closed, and not changed after it.
type keyCall struct {
	done chan struct{}

	keyResult

	// The ctx that it ran with ended, and it was abandoned or failed: the Creates that
	// share it begin another.
	cut bool
}

// keyResult is how a call of Config.APIKeyFunc ended.
type keyResult struct {
	key    string
	err    error  // returned, or the value of a panic
	thrown string // what it did instead of returning; "": it returned
	stack  []byte // of a panic
}

// ask returns the call whose result is for the Create with this ctx. It returns nil if
// ctx ended, or if too many calls are abandoned: tooMany is then set.
func (f *keyFunc) ask(ctx context.Context) (result *keyCall, tooMany bool) {
	for ctx.Err() == nil {
		call, mine := f.join(ctx)
		if call == nil {
			return nil, true
		}
		select {
		case <-call.done:
			if mine || !call.cut {
				return call, false
			}
		case <-ctx.Done():
			if mine {
				f.abandon(call)
			}
		}
	}
	return nil, false
}

// join returns the call to wait for. It begins one if there is none, unless too many are
// abandoned: then it returns nil.
func (f *keyFunc) join(ctx context.Context) (call *keyCall, mine bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.current != nil {
		return f.current, false
	}
	if f.abandoned >= maxAbandoned {
		return nil, false
	}
	call = &keyCall{done: make(chan struct{})}
	f.current = call
	go f.run(ctx, call)
	return call, true
}

// abandon lets the Creates that wait for call begin another.
func (f *keyFunc) abandon(call *keyCall) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.current != call {
		return // it has returned
	}
	f.current = nil
	f.abandoned++
	call.cut = true
	close(call.done)
}

// run calls the function. It contains a panic and a runtime.Goexit.
func (f *keyFunc) run(ctx context.Context, call *keyCall) {
	result := keyResult{thrown: "called runtime.Goexit"}
	defer func() {
		if value := recover(); value != nil {
			err, _ := value.(error)
			result = keyResult{err: err, thrown: fmt.Sprint("panicked: ", value), stack: debug.Stack()}
		}
		f.end(call, result, ctx.Err() != nil)
	}()
	key, err := f.call(ctx)
	result = keyResult{key: key, err: err}
}

func (f *keyFunc) end(call *keyCall, result keyResult, ctxEnded bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.current != call {
		f.abandoned--
		return
	}
	f.current = nil
	call.keyResult = result
	call.cut = ctxEnded && (result.err != nil || result.thrown != "")
	close(call.done)
}
