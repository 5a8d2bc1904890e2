// Package child runs this program once more, in a process of its own, and talks to it in
// JSON: what one of the two uses does not count as the other's.
package child

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"os"
	"os/exec"
)

// Process is a process that runs this program. It answers each order with one answer, see
// [Serve]. It is not safe for concurrent use.
type Process struct {
	Orders  *json.Encoder
	Answers *json.Decoder

	command *exec.Cmd
	stdin   io.WriteCloser
}

// Start starts this program with the arguments. The process is killed when ctx ends.
func Start(ctx context.Context, args ...string) (*Process, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	p := &Process{command: exec.CommandContext(ctx, self, args...)} //nolint:gosec // this program
	p.command.Stderr = os.Stderr
	if p.stdin, err = p.command.StdinPipe(); err != nil {
		return nil, err
	}
	stdout, err := p.command.StdoutPipe()
	if err != nil {
		return nil, err
	}
	p.Orders, p.Answers = json.NewEncoder(p.stdin), json.NewDecoder(stdout)
	return p, p.command.Start()
}

// Ask sends an order and decodes the answer.
func (p *Process) Ask(order, answer any) error {
	if err := p.Orders.Encode(order); err != nil {
		return err
	}
	return p.Answers.Decode(answer)
}

// Stop ends the process, and waits until it has ended.
func (p *Process) Stop() error { return errors.Join(p.stdin.Close(), p.command.Wait()) }

// Serve is what the other process does: it reads orders from in and writes the answers to
// out. It returns nil when in ends, which Stop brings about.
func Serve[Order, Answer any](in io.Reader, out io.Writer, answer func(Order) (Answer, error)) error {
	orders, answers := json.NewDecoder(in), json.NewEncoder(out)
	for {
		var o Order
		if err := orders.Decode(&o); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return err
		}
		a, err := answer(o)
		if err != nil {
			return err
		}
		if err := answers.Encode(a); err != nil {
			return err
		}
	}
}
