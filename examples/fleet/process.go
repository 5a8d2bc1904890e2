package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"sync"
	"time"
)

// process is this program, started again as one of the processes of the fleet.
type process struct {
	command *exec.Cmd
	stdin   io.Closer     // closing it ends the process
	ended   chan struct{} // closed when it has

	mu   sync.Mutex
	last report
}

// startProcess starts a process.
func startProcess(s settings) (*process, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	p := &process{command: exec.CommandContext(context.Background(), self), ended: make(chan struct{})}
	p.command.Env = append(os.Environ(), workerEnv+"=1")
	p.command.Stderr = os.Stderr
	stdin, err := p.command.StdinPipe()
	if err != nil {
		return nil, err
	}
	stdout, err := p.command.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := p.command.Start(); err != nil {
		return nil, fmt.Errorf("starting a process: %w", err)
	}
	p.stdin = stdin
	go p.read(stdout)
	if err := json.NewEncoder(stdin).Encode(s); err != nil {
		p.kill()
		return nil, fmt.Errorf("talking to a process: %w", err)
	}
	return p, nil
}

// read reads the reports until the process ends.
func (p *process) read(stdout io.Reader) {
	defer close(p.ended)
	for decoder := json.NewDecoder(stdout); ; {
		var r report
		if err := decoder.Decode(&r); err != nil {
			break
		}
		p.mu.Lock()
		p.last = r
		p.mu.Unlock()
	}
	_ = p.command.Wait()
}

// report returns the last report, which outlives the process.
func (p *process) report() report {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.last
}

// running reports whether the process has not ended.
func (p *process) running() bool {
	select {
	case <-p.ended:
		return false
	default:
		return true
	}
}

// kill ends the process at once, as a crash does (SIGKILL).
func (p *process) kill() {
	_ = p.command.Process.Kill()
	<-p.ended
}

// stop ends the process in good order, and kills it if it does not end.
func (p *process) stop() {
	_ = p.stdin.Close()
	select {
	case <-p.ended:
	case <-time.After(5 * time.Second):
		p.kill()
	}
}
