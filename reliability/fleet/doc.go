// Package fleet tests what processes that share tokens promise, with real processes and real
// Redis servers, which it breaks. It has no code besides tests.
//
// The test is the parent: it starts redis-servers on ports of their own, and the issuer of
// the tokens, which keeps a ledger of all calls. Workers are the test binary, started again:
// a Manager each, which the test calls through the worker's standard input and output. So a
// test can stop a worker, or kill it, where no code of its own can do anything about it.
//
// Tokens live for seconds, so that they are renewed within a test. Where a test counts calls
// to the last one, the store has seconds to answer: what is tested is the promise, and not
// how busy the machine is.
package fleet
