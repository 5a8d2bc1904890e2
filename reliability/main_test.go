package reliability_test

import (
	"flag"
	"fmt"
	"os"
	"strconv"
	"testing"
	"time"
)

// childEnv is the environment variable with the name of the program that a child process
// runs.
const childEnv = "RELIABILITY_CHILD"

// children are the programs of child processes, by name.
var children = map[string]func() error{}

// soak is how long each fault is repeated. Zero: once.
var soak time.Duration

func TestMain(m *testing.M) {
	if name := os.Getenv(childEnv); name != "" {
		if err := children[name](); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	if n := os.Getenv("RELIABILITY_MINUTES"); n != "" {
		minutes, err := strconv.ParseFloat(n, 64)
		if err != nil || minutes <= 0 {
			fmt.Fprintf(os.Stderr, "RELIABILITY_MINUTES is %q; want a number of minutes\n", n)
			os.Exit(2)
		}
		soak = time.Duration(minutes * float64(time.Minute))
	}
	// The tests mostly wait, so more of them can run in parallel than there are cores.
	flag.Parse()
	if err := flag.Set("test.parallel", "64"); err != nil {
		panic(err)
	}
	os.Exit(m.Run())
}
