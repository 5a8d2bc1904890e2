package flight

import (
	"errors"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
)

var errBoom = errors.New("boom")

// start runs call on a goroutine of its own, and done with its error.
func start(g *Group, key string, call func() error, done func(error)) {
	go func() {
		var err error
		defer func() { done(err) }() // deferred because of runtime.Goexit
		g.Do(key, call, &err)
	}()
}

func TestDoDeliversTheError(t *testing.T) {
	var g Group
	got := make(chan error)
	start(&g, "k", func() error { return errBoom }, func(err error) { got <- err })
	if err := <-got; !errors.Is(err, errBoom) {
		t.Fatalf("done got %v", err)
	}
}

func TestDoContains(t *testing.T) {
	for name, c := range map[string]struct {
		call func() error
		want string
	}{
		"panic":      {func() error { panic("at the disco") }, "at the disco"},
		"panic(nil)": {func() error { panic(nil) }, "nil"},
		"panic(err)": {func() error { panic(errBoom) }, "boom"},
		"Goexit":     {func() error { runtime.Goexit(); return nil }, "runtime.Goexit"},
		"nil map":    {func() error { map[string]int(nil)["a"] = 1; return nil }, "nil map"},
	} {
		t.Run(name, func(t *testing.T) {
			var g Group
			got := make(chan error)
			start(&g, "k", c.call, func(err error) { got <- err })
			err := <-got
			var p *PanicError
			if !errors.As(err, &p) || !strings.Contains(p.Text, c.want) {
				t.Fatalf("done got %v", err)
			}
			if !strings.Contains(string(p.Stack), "TestDoContains") || strings.Contains(err.Error(), "TestDoContains") {
				t.Fatalf("the stack does not lead to the culprit, or is in the text:\n%v\n%s", err, p.Stack)
			}
			if p.Panicked != (name != "Goexit") || (p.Value != nil) != p.Panicked || strings.HasPrefix(err.Error(), "panic: ") != p.Panicked {
				t.Fatalf("PanicError = %+v, want a value unless it is Goexit", p)
			}
			// The key is free again.
			start(&g, "k", func() error { return nil }, func(err error) { got <- err })
			if err := <-got; err != nil {
				t.Fatal(err)
			}
		})
	}
}

func TestKeysAreIndependent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var g Group
		var running atomic.Int32
		release := make(chan struct{})
		call := func() error { running.Add(1); <-release; return nil }
		for _, key := range []string{"a", "b"} {
			start(&g, key, call, func(error) { running.Add(-1) })
		}
		synctest.Wait()
		if n := running.Load(); n != 2 {
			t.Fatalf("%d calls are running, want one for each of two keys", n)
		}
		close(release)
	})
}

// TestBusyKeyIsABug runs itself in another process, which a second call for a busy
// key must end.
func TestBusyKeyIsABug(t *testing.T) {
	const child = "FLIGHT_TEST_BUSY_KEY"
	if os.Getenv(child) != "" {
		synctest.Test(t, func(*testing.T) {
			var g Group
			release := make(chan struct{})
			start(&g, "a", func() error { <-release; return nil }, func(error) {})
			synctest.Wait()
			start(&g, "a", func() error { return nil }, func(error) {})
			synctest.Wait()
			close(release)
			synctest.Wait()
		})
		return
	}
	cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestBusyKeyIsABug$", "-test.timeout=1m")
	cmd.Env = append(os.Environ(), child+"=1")
	out, err := cmd.CombinedOutput()
	if want := `panic: bug: two calls at a time for the key "a"`; err == nil || !strings.Contains(string(out), want) {
		t.Fatalf("the process ended with %v, want %q; it printed:\n%s", err, want, out)
	}
}

// TestKeyIsFreeAfterDo: the next call for the same key may follow at once.
func TestKeyIsFreeAfterDo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var g Group
		calls := 0
		var next func(error)
		next = func(error) {
			if calls == 3 {
				return
			}
			start(&g, "k", func() error { calls++; return nil }, next)
		}
		next(nil)
		synctest.Wait()
		if calls != 3 {
			t.Fatalf("%d calls were made, want 3", calls)
		}
	})
}

func TestContain(t *testing.T) {
	var err error
	if Contain(func() error { return errBoom }, &err); !errors.Is(err, errBoom) {
		t.Fatal(err)
	}
	var p *PanicError
	if Contain(func() error { panic(1) }, &err); !errors.As(err, &p) {
		t.Fatal(err)
	}
	if Contain(func() error { return nil }, &err); err != nil {
		t.Fatal(err)
	}
	gone := make(chan error)
	go func() {
		var err error
		defer func() { gone <- err }()
		Contain(func() error { runtime.Goexit(); return nil }, &err)
	}()
	if err := <-gone; !errors.As(err, &p) {
		t.Fatal(err)
	}
}

// exits is a value that cannot be printed: its String calls Goexit.
type exits struct{}

func (exits) String() string { runtime.Goexit(); return "" }

func TestDoContainsAValueThatCannotBePrinted(t *testing.T) {
	var g Group
	got := make(chan error)
	start(&g, "k", func() error { panic(exits{}) }, func(err error) { got <- err })
	err := <-got
	var p *PanicError
	if !errors.As(err, &p) || !p.Panicked || p.Value != nil || len(p.Stack) == 0 {
		t.Fatalf("done got %v (%+v), want a panic without its value", err, p)
	}
}
