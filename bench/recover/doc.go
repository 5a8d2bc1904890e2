// Package recover compares how programs come back after an outage: roomtoken, and workers
// that retry with backoff, alone and behind the adaptive limiters of other libraries. They do
// the same work in simulated time, which only a test has; it prints Markdown:
//
//	go test -v ./recover                                                 once, after a minute
//	go test -v ./recover -args -recover.runs=15 -recover.outage=10m      what is published
package recover
