package fleet_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/rpc"
	"os"
	"os/exec"
	"syscall"
	"testing"
	"time"

	"github.com/roomtoken/roomtoken"
)

// patience is how long a test waits for what has to happen, on a machine that is busy.
const patience = time.Minute

// fleet is some workers that share a store, the issuer that they call, and the server that
// the store is on.
type fleet struct {
	*testing.T
	issuer   *issuer
	settings settings // of the next worker
	workers  []*process
}

// stages limits how many fleets there are at once, or none of them would be in time.
var stages = make(chan struct{}, 12)

// newFleet returns a fleet without workers, on the servers with these addresses, with tokens
// that live for so long.
func newFleet(t *testing.T, lifetime time.Duration, addrs ...string) *fleet {
	t.Helper()
	stages <- struct{}{}
	t.Cleanup(func() { <-stages })
	i := startIssuer(t, lifetime)
	return &fleet{T: t, issuer: i, settings: settings{
		Issuer: i.url, Addrs: addrs, Keys: [][]byte{key(1)}, CallTimeout: 10 * time.Second, StoreTimeout: 5 * time.Second,
	}}
}

// key returns a key, another one for each n.
func key(n byte) []byte { return bytes.Repeat([]byte{n}, 32) }

// process is a worker, as its test sees it.
type process struct {
	*fleet
	name   string
	cmd    *exec.Cmd
	client *rpc.Client
	log    bytes.Buffer
}

// start starts a worker.
func (f *fleet) start() *process {
	f.Helper()
	self, err := os.Executable()
	f.must(err)
	text, err := json.Marshal(f.settings)
	f.must(err)
	p := &process{fleet: f, name: fmt.Sprint("worker ", len(f.workers)), cmd: exec.Command(self)}
	p.cmd.Env = append(os.Environ(), workerEnv+"="+string(text), "GORACE=halt_on_error=1")
	p.cmd.Stderr = &p.log
	out, err := p.cmd.StdoutPipe()
	f.must(err)
	in, err := p.cmd.StdinPipe()
	f.must(err)
	f.must(p.cmd.Start())
	p.client = rpc.NewClient(pipes{out, in})
	f.workers = append(f.workers, p)
	f.Cleanup(func() {
		p.end()
		if f.Failed() && p.log.Len() > 0 {
			f.Logf("%s: %s", p.name, p.log.String())
		}
	})
	return p
}

// startAll starts n workers.
func (f *fleet) startAll(n int) {
	f.Helper()
	for range n {
		f.start()
	}
}

// end kills a worker that has not ended.
func (p *process) end() {
	_ = p.cmd.Process.Kill()
	_ = p.client.Close()
	_ = p.cmd.Wait()
}

// pipes are the connection to a worker.
type pipes struct {
	io.ReadCloser
	in io.WriteCloser
}

func (p pipes) Write(b []byte) (int, error) { return p.in.Write(b) }

func (p pipes) Close() error {
	_ = p.in.Close()
	return p.ReadCloser.Close()
}

// signal sends a signal to the worker.
func (p *process) signal(s syscall.Signal) {
	p.Helper()
	p.must(p.cmd.Process.Signal(s))
}

// call calls a method of a worker. The test fails on an error.
func call[R any](p *process, method string, args any) R {
	p.Helper()
	return begin[R](p, method, args).wait()
}

// pending is a call of a worker that has begun.
type pending[R any] struct {
	p      *process
	method string
	reply  R
	call   *rpc.Call
}

// begin begins a call of a worker.
func begin[R any](p *process, method string, args any) *pending[R] {
	c := &pending[R]{p: p, method: method}
	c.call = p.client.Go("Worker."+method, args, &c.reply, make(chan *rpc.Call, 1))
	return c
}

// wait returns what the call returns. The test fails on an error.
func (c *pending[R]) wait() R {
	c.p.Helper()
	select {
	case <-c.call.Done:
		if c.call.Error != nil {
			c.p.Fatalf("%s: %s: %v", c.p.name, c.method, c.call.Error)
		}
	case <-time.After(patience):
		c.p.Fatalf("%s: %s did not return", c.p.name, c.method)
	}
	return c.reply
}

// callAll calls a method of all workers at a time.
func callAll[R any](f *fleet, method string, args any) (replies []R) {
	f.Helper()
	var calls []*pending[R]
	for _, p := range f.workers {
		calls = append(calls, begin[R](p, method, args))
	}
	for _, c := range calls {
		replies = append(replies, c.wait())
	}
	return replies
}

// asking is a call of Tokens that has begun.
type asking = pending[[]answer]

// ask begins to ask for rooms.
func (p *process) ask(rooms ...string) *asking {
	return begin[[]answer](p, "Tokens", Ask{Rooms: rooms})
}

// served returns the tokens that were asked for. The test fails if one is missing, or is not
// the room's.
func (p *process) served(a *asking, rooms ...string) (tokens []string) {
	p.Helper()
	for i, got := range a.wait() {
		if got.Err != "" {
			p.Fatalf("%s: room %q: %s", p.name, rooms[i], got.Err)
		}
		if err := p.issuer.check(rooms[i], got); err != nil {
			p.Fatalf("%s: %v", p.name, err)
		}
		tokens = append(tokens, got.Token)
	}
	return tokens
}

// tokens asks for rooms and returns their tokens.
func (p *process) tokens(rooms ...string) []string {
	p.Helper()
	return p.served(p.ask(rooms...), rooms...)
}

// stats returns the worker's statistics.
func (p *process) stats() Statistics {
	p.Helper()
	return call[Statistics](p, "Stats", struct{}{})
}

// quiet ends the worker's traffic. The test fails if any caller did.
func (p *process) quiet() Report {
	p.Helper()
	r := call[Report](p, "Quiet", struct{}{})
	if r.Failed > 0 {
		p.Errorf("%s: %d of %d callers failed: %q", p.name, r.Failed, r.Hits+r.Cold, r.Failures)
	}
	return r
}

// close closes the worker's Manager.
func (p *process) close() {
	p.Helper()
	call[struct{}](p, "Close", struct{}{})
}

// allTokens asks for the rooms in all workers at a time.
func (f *fleet) allTokens(rooms ...string) [][]string {
	f.Helper()
	var pending []*asking
	for _, p := range f.workers {
		pending = append(pending, p.ask(rooms...))
	}
	var all [][]string
	for i, p := range f.workers {
		all = append(all, p.served(pending[i], rooms...))
	}
	return all
}

// same checks that all workers hand out one token for each room, and returns them.
func (f *fleet) same(rooms ...string) []string {
	f.Helper()
	all := f.allTokens(rooms...)
	for i, tokens := range all {
		for j, token := range tokens {
			if token != all[0][j] {
				f.Fatalf("room %q: worker %d hands out %s, worker 0 %s", rooms[j], i, token, all[0][j])
			}
		}
	}
	return all[0]
}

// converge waits until all workers hand out one token for each room, none of them one of
// those before, and returns these tokens.
func (f *fleet) converge(before []string, rooms ...string) []string {
	f.Helper()
	var all [][]string
	f.eventually("one token per room", func() bool {
		all = f.allTokens(rooms...)
		for j := range rooms {
			for _, tokens := range all {
				if tokens[j] != all[0][j] || before != nil && tokens[j] == before[j] {
					return false
				}
			}
		}
		return true
	})
	return all[0]
}

// eventually waits until something is so.
func (f *fleet) eventually(what string, so func() bool) {
	f.Helper()
	for deadline := time.Now().Add(patience); !so(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			f.Fatalf("not so after %v: %s", patience, what)
		}
	}
}

func (f *fleet) must(err error) {
	f.Helper()
	if err != nil {
		f.Fatal(err)
	}
}

// rooms returns the names of n rooms.
func rooms(n int) (names []string) {
	for i := range n {
		names = append(names, fmt.Sprint("room ", i))
	}
	return names
}

// count returns how many events of a kind a worker has seen.
func (s Statistics) count(kind roomtoken.EventKind) int { return s.Events[kind.String()] }
