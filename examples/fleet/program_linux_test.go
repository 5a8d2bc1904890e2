package main

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// program is this program, started by a test.
type program struct {
	*testing.T
	command *exec.Cmd
	lines   chan string
	temp    string // its directory for temporary files
}

// start starts the program in a process group, as a shell does.
func start(t *testing.T, args ...string) *program {
	t.Helper()
	p := &program{T: t, command: exec.CommandContext(t.Context(), os.Args[0], args...), lines: make(chan string, 1000), temp: t.TempDir()}
	p.command.Env = append(os.Environ(), mainEnv+"=1", "REDIS_ADDR=", "TMPDIR="+p.temp)
	p.command.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	p.command.Stderr = os.Stderr
	out, err := p.command.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := p.command.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		defer close(p.lines)
		for scanner := bufio.NewScanner(out); scanner.Scan(); {
			p.lines <- scanner.Text()
		}
	}()
	return p
}

// end returns what the program prints until it ends, and fails the test if it does not end
// well or leaves something behind.
func (p *program) end() string {
	p.Helper()
	var text strings.Builder
	for line := range p.lines {
		fmt.Fprintln(&text, line)
	}
	if err := p.command.Wait(); err != nil {
		p.Errorf("the program ends with %v", err)
	}
	if files, _ := filepath.Glob(filepath.Join(p.temp, "*")); len(files) > 0 {
		p.Errorf("the program leaves %q", files)
	}
	environments, _ := filepath.Glob("/proc/[0-9]*/environ")
	for _, file := range environments {
		if environment, _ := os.ReadFile(file); strings.Contains(string(environment), "TMPDIR="+p.temp+"\x00") {
			command, _ := os.ReadFile(filepath.Join(filepath.Dir(file), "cmdline"))
			p.Errorf("the program leaves the process %q", command)
		}
	}
	return text.String()
}

// number returns the number in a text that a pattern finds.
func number(t *testing.T, text, pattern string) int {
	t.Helper()
	match := regexp.MustCompile(pattern).FindStringSubmatch(text)
	if match == nil {
		t.Fatalf("there is no %s in\n%s", pattern, text)
	}
	n, err := strconv.Atoi(match[1])
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// The whole story, as short as the lifetimes of tokens allow.
func TestFleet(t *testing.T) {
	text := start(t, "-duration=12s").end()
	t.Log("\n" + text)
	creates, refreshes := number(t, text, `(\d+) creates`), number(t, text, `and (\d+) refreshes`)
	calls, adopted := number(t, text, `Calls to the API: (\d+),`), number(t, text, `each of the (\d+) tokens`)
	if creates != rooms || calls != creates+refreshes {
		t.Errorf("%d creates and %d refreshes are %d calls; want one create for each of %d rooms", creates, refreshes, calls, rooms)
	}
	// All rooms were renewed once, and some perhaps twice, by each process for itself where
	// Redis was down.
	if refreshes < rooms || refreshes > rooms*(1+processes) {
		t.Errorf("%d refreshes of %d rooms", refreshes, rooms)
	}
	// Of the first tokens, all processes but one have adopted each, and then the one that was
	// killed; of the second ones, many.
	if want := rooms * processes; adopted < want {
		t.Errorf("%d tokens were adopted, want %d at least", adopted, want)
	}
	if got := number(t, text, `Without sharing: +(\d+)`); got != calls+adopted {
		t.Errorf("%d calls without sharing, want %d", got, calls+adopted)
	}
	if failures := number(t, text, `of which (\d+) got no token`); failures != 0 || number(t, text, `Requests: +(\d+)`) < 1000 {
		t.Errorf("%d requests failed", failures)
	}
	if !regexp.MustCompile(`(?s) up\n +process 3 is killed\n.* up\n +process 3 starts again\n.* up\n +Redis is killed\n.* down( for \d of 8)?\n`).MatchString(text) {
		t.Error("process 3, then Redis: that is not the story")
	}
}

// Ctrl-C goes to all processes of the group.
func TestInterrupt(t *testing.T) {
	p := start(t)
	for line := range p.lines {
		if strings.Contains(line, " 2 s ") {
			break
		}
	}
	began := time.Now()
	if err := syscall.Kill(-p.command.Process.Pid, syscall.SIGINT); err != nil {
		t.Fatal(err)
	}
	if text := p.end(); number(t, text, `(\d+) creates`) < rooms {
		t.Errorf("the summary is\n%s", text)
	}
	t.Logf("it ended after %v", time.Since(began))
}
