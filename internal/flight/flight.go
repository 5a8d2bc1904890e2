// Package flight calls code of other people: at most one call per key at a time,
// and with panics and runtime.Goexit contained.
package flight

import (
	"fmt"
	"runtime/debug"

	"golang.org/x/sync/singleflight"
)

// Group runs at most one call per key at a time. The zero Group is ready to use
// and safe for concurrent use.
type Group struct {
	flights singleflight.Group
}

// Do runs call as [Contain] does, and stores its error in err. The key must be free, and is
// so again when Do returns. That is for the caller to know: Do panics rather than lose a
// call.
func (g *Group) Do(key string, call func() error, err *error) {
	begun := false
	_, _, _ = g.flights.Do(key, func() (any, error) {
		begun = true
		Contain(call, err)
		return nil, nil
	})
	if !begun {
		panic(fmt.Sprintf("bug: two calls at a time for the key %q", key))
	}
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
