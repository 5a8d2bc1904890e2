// Package flight runs calls into other people's code: at most one per key at a
// time, and so that neither a panic nor a runtime.Goexit gets out.
package flight

import (
	"fmt"
	"runtime"
	"runtime/debug"

	"golang.org/x/sync/singleflight"
)

// Group runs at most one call per key at a time. The zero Group is ready, and
// safe for concurrent use.
type Group struct {
	flights singleflight.Group
}

// Go runs call on a goroutine of its own, then done on the same goroutine with
// what call returned, or with a *[PanicError]. By the time done runs the key is free
// again. While a call for the key runs, or waits for a processor, another one is not
// made: neither of its functions runs.
func (g *Group) Go(key string, call func() error, done func(error)) {
	flight := func() (any, error) {
		var err error
		// Deferred because a Goexit in call ends this goroutine here; singleflight
		// would never answer it. A panic it would let kill the process.
		defer func() {
			g.flights.Forget(key)
			done(err)
		}()
		Contain(call, &err)
		return nil, nil
	}
	go func() {
		// A call that ends begins the next one. Such a chain, if the calls do not
		// wait for anything, has a processor for itself for 10 ms (a goroutine that is
		// made last runs first, in what is left of its maker's time), and those whom
		// it has served wait that long to learn of it.
		runtime.Gosched()
		_, _, _ = g.flights.Do(key, flight)
	}()
}

// Contain runs call on the calling goroutine and stores what it returns in err, or
// a *[PanicError]. It cannot stop a runtime.Goexit: that still ends the goroutine,
// but err is stored by the time the caller's deferred functions run.
func Contain(call func() error, err *error) {
	returned := false
	defer func() {
		if returned {
			return
		}
		if p := recover(); p != nil {
			*err = &PanicError{Text: fmt.Sprintf("panic: %v", p), Stack: string(debug.Stack())}
		} else {
			*err = &PanicError{Text: "runtime.Goexit", Stack: string(debug.Stack())}
		}
	}()
	*err = call()
	returned = true
}

// PanicError is the error of a call that panicked or called runtime.Goexit.
type PanicError struct {
	Text  string // what was thrown
	Stack string // where
}

// Error returns the text and the stack.
func (p *PanicError) Error() string { return p.Text + "\n\n" + p.Stack }
