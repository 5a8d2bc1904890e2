package main

import (
	"fmt"

	"github.com/roomtoken/roomtoken/telnyx/telnyxtest"
)

// fleet is all processes, and the API that they call.
type fleet struct {
	settings  settings
	api       *telnyxtest.Server
	processes []*process
	dead      []*process // whose places others have taken
}

// start starts all processes.
func (f *fleet) start(n int) error {
	for range n {
		p, err := startProcess(f.settings)
		if err != nil {
			return err
		}
		f.processes = append(f.processes, p)
	}
	return nil
}

// restart starts a process in the place of one that was killed.
func (f *fleet) restart(i int) error {
	p, err := startProcess(f.settings)
	if err != nil {
		return err
	}
	f.dead = append(f.dead, f.processes[i])
	f.processes[i] = p
	return nil
}

// stop ends all processes in good order.
func (f *fleet) stop() {
	for _, p := range f.processes {
		_ = p.stdin.Close() // they end side by side
	}
	for _, p := range f.processes {
		p.stop()
	}
}

// counts are what has happened since the start.
type counts struct {
	creates, refreshes int // calls to the API
	adopted            uint64
	requests, failures uint64
	down, running      int // processes
}

func (f *fleet) counts() (c counts) {
	calls := f.api.Calls()
	c.creates, c.refreshes = calls.Creates, calls.Refreshes
	for _, p := range append(f.dead, f.processes...) {
		r := p.report()
		c.adopted += r.Adopted
		c.requests += r.Requests
		c.failures += r.Failures
		if p.running() {
			c.running++
			if r.StoreDown {
				c.down++
			}
		}
	}
	return c
}

// store says how the processes see the store.
func (c counts) store() string {
	switch c.down {
	case 0:
		return "up"
	case c.running:
		return "down"
	default:
		return fmt.Sprintf("down for %d of %d", c.down, c.running)
	}
}
