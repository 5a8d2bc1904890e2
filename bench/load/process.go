package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
)

// process is an API in a process of its own: this very program, see serveAPI.
type process struct {
	url     string
	command *exec.Cmd
	stdin   io.WriteCloser
	answers *json.Decoder
}

// startAPI starts one, and has this process trust its certificate. A Source with a
// client of its own knows no other way than the environment, which is read when
// the first certificate is verified; that works where Go itself verifies, as on
// Linux.
func startAPI(ctx context.Context, protocol, dir string) (*process, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	p := &process{command: exec.CommandContext(ctx, self, "-serve", protocol)} //nolint:gosec // this program
	p.command.Stderr = os.Stderr
	if p.stdin, err = p.command.StdinPipe(); err != nil {
		return nil, err
	}
	stdout, err := p.command.StdoutPipe()
	if err != nil {
		return nil, err
	}
	p.answers = json.NewDecoder(stdout)
	if err := p.command.Start(); err != nil {
		return nil, err
	}
	var hello welcome
	if err := p.answers.Decode(&hello); err != nil {
		return nil, errors.Join(fmt.Errorf("the API's first words: %w", err), p.stop())
	}
	p.url = hello.URL
	file := filepath.Join(dir, "api.pem") // the same certificate each time
	if err := os.WriteFile(file, []byte(hello.Certificate), 0o600); err != nil {
		return nil, errors.Join(err, p.stop())
	}
	return p, os.Setenv("SSL_CERT_FILE", file)
}

// traffic asks what the API has seen.
func (p *process) traffic() (t traffic, err error) {
	if _, err = fmt.Fprintln(p.stdin, "traffic"); err == nil {
		err = p.answers.Decode(&t)
	}
	return t, err
}

// stop ends the process.
func (p *process) stop() error { return errors.Join(p.stdin.Close(), p.command.Wait()) }

// bareClient returns a client as a careful program sets it up: without it, net/http
// keeps two idle connections, and makes a new one for most calls.
func bareClient() *http.Client {
	return &http.Client{Transport: &http.Transport{ForceAttemptHTTP2: true, MaxIdleConnsPerHost: concurrent}}
}
