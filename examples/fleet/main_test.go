package main

import (
	"io"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/roomtoken/roomtoken/telnyx/telnyxtest"
)

// mainEnv makes the test binary the program.
const mainEnv = "FLEET_MAIN"

func TestMain(m *testing.M) {
	if os.Getenv(mainEnv) != "" || os.Getenv(workerEnv) != "" {
		main()
	}
	os.Exit(m.Run())
}

func TestRunErrors(t *testing.T) {
	t.Setenv("PATH", t.TempDir())
	for _, test := range []struct {
		duration time.Duration
		want     string
	}{
		{11 * time.Second, "-duration is 11s, and has to be 12s or more"},
		{12 * time.Second, "Debian's package redis-server"},
	} {
		var out strings.Builder
		if err := run(t.Context(), &out, "", test.duration); err == nil || !strings.Contains(err.Error(), test.want) || out.Len() > 0 {
			t.Errorf("%v: %v, %q; want an error with %q", test.duration, err, &out, test.want)
		}
	}
}

// A Redis that is somebody else's is not killed.
func TestForeignRedisIsLeftAlone(t *testing.T) {
	for _, step := range plan(t.Context(), &fleet{}, nil, time.Minute) {
		if strings.Contains(step.text, "Redis") {
			t.Errorf("a step is %q", step.text)
		}
	}
}

// A process that cannot do its work is an error, and no reason to go on.
func TestProcessThatEnds(t *testing.T) {
	api := telnyxtest.Start(t, telnyxtest.Config{})
	f := &fleet{api: api} // without settings
	defer f.stop()
	if err := f.start(processes); err != nil {
		t.Fatal(err)
	}
	if err := f.play(t.Context(), io.Discard, time.Minute, nil); err == nil || !strings.Contains(err.Error(), "has ended") {
		t.Errorf("error %v, want one that says that a process has ended", err)
	}
}
