package main

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"github.com/roomtoken/roomtoken/examples/quickstart/internal/demo"
)

const (
	roomA = "0ccc7b54-4df3-4bca-a65a-3da1ecc777f0"
	roomB = "9E2A0CBE-ce66-411e-a1ac-468f0b103c9a"
)

// env is a set of environment variables.
type env map[string]string

func (e env) get(name string) string { return e[name] }

func TestParse(t *testing.T) {
	key := env{"TELNYX_API_KEY": "KEY"}
	for _, tt := range []struct {
		name     string
		args     string
		env      env
		duration time.Duration
		rooms    int
		err      string // part of the error; "": none
	}{
		{"no arguments", "", nil, demo.Duration, 0, ""},
		{"a duration", "--for 5s --plain", nil, 5 * time.Second, 0, ""},
		{"rooms", roomA + " " + roomB, key, 0, 2, ""},
		{"rooms and a duration", "-for=1m " + roomA, key, time.Minute, 1, ""},

		{"a key without rooms", "", key, 0, 0, "there are no room IDs"},
		{"rooms without a key", roomA, nil, 0, 0, "require an API key"},
		{"not a room ID", roomA + " lobby", key, 0, 0, `"lobby" is not a room ID`},
		{"a room ID with a suffix", roomA + "/x", key, 0, 0, "is not a room ID"},
		{"a flag after the rooms", roomA + " --plain", key, 0, 0, "flags come before room IDs"},
		{"a room twice", roomA + " " + strings.ToUpper(roomA), key, 0, 0, "listed twice"},
		{"a negative duration", "--for -1s", nil, 0, 0, "--for is -1s"},
		{"not a duration", "--for soon", nil, 0, 0, "soon"},
		{"unknown flag", "--fast", nil, 0, 0, "-h lists"},
		{"help", "-h", nil, 0, 0, errHelp.Error()},
	} {
		t.Run(tt.name, func(t *testing.T) {
			o, err := parse(strings.Fields(tt.args), tt.env.get)
			if tt.err != "" {
				if err == nil || !strings.Contains(err.Error(), tt.err) {
					t.Fatalf("got error %v, want one with %q", err, tt.err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if o.duration != tt.duration || len(o.rooms) != tt.rooms {
				t.Errorf("got %v and %v, want %v and %d rooms", o.duration, o.rooms, tt.duration, tt.rooms)
			}
		})
	}
}

func TestExitStatusOfArguments(t *testing.T) {
	for _, tt := range []struct {
		args           []string
		status         int
		stdout, stderr string // substrings
	}{
		{[]string{"-h"}, exitOK, "--for DURATION", ""},
		{[]string{"--help"}, exitOK, "TELNYX_API_KEY", ""},
		{[]string{"lobby"}, exitUsage, "", `"lobby" is not a room ID`},
	} {
		var stdout, stderr bytes.Buffer
		status := quickstart(t.Context(), tt.args, env{}.get, &stdout, &stderr)
		if status != tt.status || !strings.Contains(stdout.String(), tt.stdout) || !strings.Contains(stderr.String(), tt.stderr) {
			t.Errorf("%v: status %d, stdout %q, stderr %q", tt.args, status, &stdout, &stderr)
		}
	}
}
