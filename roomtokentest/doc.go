// Package roomtokentest has a [roomtoken.TokenSource] that a test can script:
// no network, a clock of the test's choice, failures on demand, and a hold on
// calls in flight, so that no test has to sleep.
//
//	src := &roomtokentest.Source{Clock: mock}
//	manager, err := roomtoken.NewManager(src, roomtoken.Config{Clock: mock})
//	...
//	src.Fail(io.ErrUnexpectedEOF, 3)        // the next three calls fail
//	hold := src.Hold()                      // calls stay in flight from here on
//	go manager.Token(ctx, "lobby")
//	err = src.WaitCalls(ctx, 1)             // now one is
//	hold.Release()
//
// For the HTTP side of Telnyx there is package telnyxtest.
package roomtokentest
