// Package flight calls code of other people: at most one call per key at a time,
// and with panics and runtime.Goexit contained.
package flight

import (
	"fmt"
	"runtime"
	"runtime/debug"

	"golang.org/x/sync/singleflight"
)

// Group runs at most one call per key at a time. The zero Group is ready to use
// and safe for concurrent use.
type Group struct {
	flights singleflight.Group
}

// Go runs call on a new goroutine, then done on the same goroutine with the error
// that call returned, or with a *[PanicError]. The key is free again when done
// runs.
//
// The key must be free. That is for the caller to know: Go panics on the new
// goroutine, and so ends the process, rather than lose a call.
func (g *Group) Go(key string, call func() error, done func(error)) {
	begun := false
	flight := func() (any, error) {
		begun = true
		var err error
		// Deferred because a Goexit in call ends this goroutine here, and singleflight
		// would never answer it. A panic it would let kill the process.
		defer func() {
			g.flights.Forget(key)
			done(err)
		}()
		Contain(call, &err)
		return nil, nil
	}
	go func() {
		// A call that ends begins the next one. A chain of calls that do not wait for
		// anything would keep a processor for 10 ms, since a goroutine that is started
		// last runs first, in what is left of its starter's time slice; and the callers
		// that it has served would wait for that long.
		runtime.Gosched()
		_, _, _ = g.flights.Do(key, flight)
		if !begun {
			panic(fmt.Sprintf("bug: two calls at a time for the key %q", key))
		}
	}()
}

// Contain runs call on the calling goroutine and stores its error in err, or a
// *[PanicError]. It cannot stop a runtime.Goexit: the goroutine still ends, but
// err is set when the caller's deferred functions run.
func Contain(call func() error, err *error) {
	returned := false
	defer func() {
		if returned {
			return
		}
		p := &PanicError{Text: "runtime.Goexit"}
		*err = p
		value := recover()
		p.Stack = debug.Stack()
		if value != nil {
			p.Panicked, p.Text = true, "a value that cannot be printed" // its String may call Goexit
			p.Text = fmt.Sprint(value)
			p.Value = value
		}
	}()
	*err = call()
	returned = true
}

// PanicError is the error of a call that panicked or called runtime.Goexit.
type PanicError struct {
	Panicked bool   // rather than called Goexit
	Value    any    // that was thrown; nil after Goexit, and where it cannot be printed
	Text     string // of the value
	Stack    []byte // where it was thrown
}

// Error returns what was thrown, without the stack.
func (p *PanicError) Error() string {
	if p.Panicked {
		return "panic: " + p.Text
	}
	return p.Text
}
