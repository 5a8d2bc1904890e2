// Package reliability is empty: its tests put the library on real sockets and
// into real processes, and break those. They are in a module of their own so
// that what they need is no dependency of the library.
//
// Sockets: a Manager with the source for Telnyx renews 100 rooms for 200 callers
// through a TCP proxy that delays, throttles, resets, swallows and cuts. The
// proxy writes down what passes; the source and the server count calls.
//
// Processes: the test binary starts itself again, to be stopped by a signal, to
// run out of file descriptors, and to be searched for what it should have
// forgotten.
//
// With RELIABILITY_MINUTES=n in the environment the sockets are broken again and
// again, each way for n minutes; "make reliability" does that.
package reliability
