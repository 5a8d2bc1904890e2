// Package reliability tests the library on real sockets and in real processes, and breaks
// those. It is a module of its own, so that its dependencies are not the library's, and
// has no code besides tests.
//
// Sockets: a Manager with the Telnyx source keeps the tokens of 100 rooms fresh for 200
// callers, through a TCP proxy that delays, throttles, resets, drops and truncates. The
// proxy records the traffic; the source and the server count calls.
//
// Processes: the test binary starts itself as a child process, which is stopped by a
// signal, runs out of file descriptors, or is searched for tokens that it should no longer
// hold.
//
// Package fleet, in the directory of that name, has the tests of processes that share
// tokens.
//
// If the environment variable RELIABILITY_MINUTES is set to n, each fault is repeated for
// n minutes. "make reliability" does that.
package reliability
