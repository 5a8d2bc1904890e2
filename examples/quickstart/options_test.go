package main

import (
	"bytes"
	"strings"
	"testing"
	"time"
)

const (
	roomA = "0ccc7b54-4df3-4bca-a65a-3da1ecc777f0"
	roomB = "9E2A0CBE-ce66-411e-a1ac-468f0b103c9a"
)

// env is an environment.
type env map[string]string

func (e env) get(name string) string { return e[name] }

func TestParse(t *testing.T) {
	key := env{"TELNYX_API_KEY": "KEY"}
	for _, tt := range []struct {
		name   string
		args   string
		env    env
		length time.Duration
		rooms  int
		err    string // a part of it; "": none
	}{
		{"nothing", "", nil, demoLength, 0, ""},
		{"a time", "--for 5s --plain", nil, 5 * time.Second, 0, ""},
		{"rooms", roomA + " " + roomB, key, 0, 2, ""},
		{"rooms and a time", "-for=1m " + roomA, key, time.Minute, 1, ""},

		{"a key without rooms", "", key, 0, 0, "no room is named"},
		{"rooms without a key", roomA, nil, 0, 0, "set TELNYX_API_KEY"},
		{"not a room ID", roomA + " lobby", key, 0, 0, `"lobby" is no room ID`},
		{"a room ID with a tail", roomA + "/x", key, 0, 0, "is no room ID"},
		{"a flag too late", roomA + " --plain", key, 0, 0, "flags come before room IDs"},
		{"a room twice", roomA + " " + strings.ToUpper(roomA), key, 0, 0, "twice"},
		{"time runs backward", "--for -1s", nil, 0, 0, "--for is -1s"},
		{"no time", "--for soon", nil, 0, 0, "soon"},
		{"no such flag", "--fast", nil, 0, 0, "-h shows"},
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
			if o.length != tt.length || len(o.rooms) != tt.rooms {
				t.Errorf("got %v and %v, want %v and %d rooms", o.length, o.rooms, tt.length, tt.rooms)
			}
		})
	}
}

func TestExitStatusOfArguments(t *testing.T) {
	for _, tt := range []struct {
		args           []string
		status         int
		stdout, stderr string // parts
	}{
		{[]string{"-h"}, exitOK, "--for DURATION", ""},
		{[]string{"--help"}, exitOK, "TELNYX_API_KEY", ""},
		{[]string{"lobby"}, exitUsage, "", `"lobby" is no room ID`},
	} {
		var stdout, stderr bytes.Buffer
		status := quickstart(t.Context(), tt.args, env{}.get, &stdout, &stderr)
		if status != tt.status || !strings.Contains(stdout.String(), tt.stdout) || !strings.Contains(stderr.String(), tt.stderr) {
			t.Errorf("%v: status %d, stdout %q, stderr %q", tt.args, status, &stdout, &stderr)
		}
	}
}
