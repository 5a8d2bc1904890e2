// Package roomtokentest provides a scriptable [roomtoken.TokenSource] for tests, and a
// [roomtoken.Store] in memory. They need no network and no sleeping: tests script
// failures, hold calls in flight, and choose the clock.
//
//	src := &roomtokentest.Source{}
//	manager, err := roomtoken.NewManager(src, roomtoken.Config{})
//	...
//	src.Fail(io.ErrUnexpectedEOF, 3)  // the next three calls fail
//	hold := src.Hold()                // calls that begin from now on stay in flight
//	go manager.Token(ctx, "lobby")
//	err = src.WaitCalls(ctx, 1)       // returns once one is in flight
//	hold.Release()
//
// A fleet is several Managers with one [Store]:
//
//	store := &roomtokentest.Store{}
//	first, err := roomtoken.NewManager(src, roomtoken.Config{Store: store.Process()})
//	second, err := roomtoken.NewManager(src, roomtoken.Config{Store: store.Process()})
//	...
//	store.Flush()                      // it was started anew
//	store.Degrade(errors.New("full"))  // it takes no writes
//
// # Time
//
// To test behavior over time, run the test in a [testing/synctest] bubble and leave
// [Source].Clock nil: everything then follows the bubble's fake time. Where that does
// not fit, set Source.Clock and roomtoken.Config.Clock to the same
// [github.com/benbjohnson/clock.Mock], and call its Add from one goroutine only. Do
// not call its Timer, Ticker, After, Tick or Sleep: they run due timers themselves and
// can deadlock with Add. This package uses AfterFunc alone.
//
// Package telnyxtest serves the Telnyx HTTP API in the same way, in a bubble too.
package roomtokentest
