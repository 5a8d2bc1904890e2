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

// process is an API in another process, which runs this program. See serveAPI.
type process struct {
	url     string
	command *exec.Cmd
	stdin   io.WriteCloser
	answers *json.Decoder
}

// startAPI starts one, and makes this process trust its certificate. For a Source with
// its own client that is only possible through the environment, which Go reads before
// it verifies the first certificate. It works where Go itself verifies, as on Linux.
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
		return nil, errors.Join(fmt.Errorf("reading the address of the API: %w", err), p.stop())
	}
	p.url = hello.URL
	file := filepath.Join(dir, "api.pem") // all have the same certificate
	if err := os.WriteFile(file, []byte(hello.Certificate), 0o600); err != nil {
		return nil, errors.Join(err, p.stop())
	}
	return p, os.Setenv("SSL_CERT_FILE", file)
}

// traffic returns the API's traffic.
func (p *process) traffic() (t traffic, err error) {
	if _, err = fmt.Fprintln(p.stdin, "traffic"); err == nil {
		err = p.answers.Decode(&t)
	}
	return t, err
}

// stop ends the process.
func (p *process) stop() error { return errors.Join(p.stdin.Close(), p.command.Wait()) }

// plainClient returns a client with enough idle connections: by default, net/http
// keeps two, and dials for most calls.
func plainClient() *http.Client {
	return &http.Client{Transport: &http.Transport{ForceAttemptHTTP2: true, MaxIdleConnsPerHost: concurrent}}
}
