package e2e_test

import (
	"bufio"
	"encoding/json"
	"net/http"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// joinserver is examples/joinserver in a process of its own.
type joinserver struct {
	t    *testing.T
	args []string
	env  []string
	url  string // it stays when the process is started again

	process *exec.Cmd
	exited  chan struct{} // closed when the process has ended, and output is complete

	mu     sync.Mutex
	output strings.Builder
}

// startJoinserver starts the example with these arguments and more environment.
func startJoinserver(t *testing.T, args []string, env ...string) *joinserver {
	t.Helper()
	clean := slices.DeleteFunc(os.Environ(), func(v string) bool { return strings.HasPrefix(v, "TELNYX_") })
	s := &joinserver{t: t, args: args, env: append(clean, env...)}
	if !s.try("127.0.0.1:0") {
		t.Fatalf("joinserver does not start:\n%s", s.log())
	}
	t.Cleanup(func() {
		s.end(syscall.SIGTERM)
		if status := s.process.ProcessState; !status.Success() {
			t.Errorf("joinserver: %v after SIGTERM", status)
		}
		if t.Failed() {
			t.Logf("joinserver:\n%s", s.log())
		}
	})
	return s
}

// again starts the example once more, at the same address.
func (s *joinserver) again() {
	s.t.Helper()
	// Somebody else may have the port for a moment.
	if !eventually(s.t, func() bool { return s.try(strings.TrimPrefix(s.url, "http://")) }) {
		s.t.Fatalf("joinserver does not start again:\n%s", s.log())
	}
}

// try starts the process. It reports whether it listens.
func (s *joinserver) try(addr string) bool {
	s.t.Helper()
	s.process = exec.Command(joinBinary, append([]string{"-addr", addr}, s.args...)...)
	s.process.Env = s.env
	out, err := s.process.StderrPipe()
	if err != nil {
		s.t.Fatal(err)
	}
	if err := s.process.Start(); err != nil {
		s.t.Fatal(err)
	}
	s.exited = make(chan struct{})
	listening := make(chan string)
	go func() {
		defer close(s.exited)
		defer close(listening)
		address := regexp.MustCompile(`open (http://\S+)`)
		for lines := bufio.NewScanner(out); lines.Scan(); {
			s.mu.Lock()
			s.output.WriteString(lines.Text() + "\n")
			s.mu.Unlock()
			if found := address.FindStringSubmatch(lines.Text()); found != nil {
				listening <- found[1]
			}
		}
		_ = s.process.Wait()
	}()
	url, ok := <-listening
	if ok {
		s.url = url
	}
	return ok
}

// end ends the process with a signal, and waits until it has ended.
func (s *joinserver) end(signal syscall.Signal) {
	s.t.Helper()
	if err := s.process.Process.Signal(signal); err != nil {
		s.t.Fatal(err)
	}
	select {
	case <-s.exited:
	case <-time.After(within):
		s.t.Fatalf("joinserver does not end after %v", signal)
	}
}

// log returns what the process has printed.
func (s *joinserver) log() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.output.String()
}

// status is the status page as JSON.
type status struct {
	Stats struct {
		Creates, Refreshes, Fallbacks uint64
		CreateFailures                uint64 `json:"create_failures"`
		RefreshFailures               uint64 `json:"refresh_failures"`
		RateLimited                   bool   `json:"rate_limited"`
	}
	Rooms []struct {
		RoomID      string `json:"room_id"`
		Fingerprint string
	}
}

// status asks for the status page.
func (s *joinserver) status() status {
	s.t.Helper()
	response, err := http.Get(s.url + "/status?format=json")
	if err != nil {
		s.t.Fatal(err)
	}
	defer response.Body.Close()
	var answer status
	if err := json.NewDecoder(response.Body).Decode(&answer); err != nil {
		s.t.Fatal(err)
	}
	return answer
}

// fingerprint returns the fingerprint of the room's token.
func (s status) fingerprint(room string) string {
	for _, r := range s.Rooms {
		if r.RoomID == room {
			return r.Fingerprint
		}
	}
	return ""
}
