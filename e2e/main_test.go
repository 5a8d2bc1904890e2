package e2e_test

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime/debug"
	"slices"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
)

var (
	browser    context.Context // of chromedp; the tests open tabs of it
	joinBinary string          // the path of examples/joinserver, built
)

func TestMain(m *testing.M) {
	// The tests mostly wait, so more of them can run in parallel than there are cores.
	flag.Parse()
	if err := flag.Set("test.parallel", "8"); err != nil {
		panic(err)
	}
	status, err := runTests(m)
	if err != nil {
		fmt.Fprintf(os.Stderr, "e2e: %v\n", err)
	}
	os.Exit(status)
}

// runTests runs the tests with a browser.
func runTests(m *testing.M) (status int, err error) {
	path, err := findChromium()
	if err != nil {
		return 1, err
	}
	dir, err := os.MkdirTemp("", "e2e")
	if err != nil {
		return 1, err
	}
	defer os.RemoveAll(dir)
	joinBinary = filepath.Join(dir, "joinserver")
	if err := build(joinBinary, "./examples/joinserver"); err != nil {
		return 1, err
	}

	options := slices.Concat(chromedp.DefaultExecAllocatorOptions[:], []chromedp.ExecAllocatorOption{
		chromedp.ExecPath(path),
		chromedp.WSURLReadTimeout(2 * time.Minute), // on a busy machine
		// Tabs in the background shall be treated as they are on a user's machine.
		chromedp.Flag("disable-background-timer-throttling", false),
		chromedp.Flag("disable-backgrounding-occluded-windows", false),
		chromedp.Flag("disable-renderer-backgrounding", false),
	})
	ctx, stop := chromedp.NewExecAllocator(context.Background(), options...)
	defer stop()
	browser, stop = chromedp.NewContext(ctx)
	defer stop()
	if err := chromedp.Do(browser); err != nil {
		return 1, fmt.Errorf("starting %s: %w", path, err)
	}
	return m.Run(), nil
}

// findChromium returns the path of a browser.
func findChromium() (string, error) {
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome", "google-chrome-stable"} {
		if path, err := exec.LookPath(name); err == nil {
			return path, nil
		}
	}
	return "", errors.New("there is no Chromium in the PATH; install the package chromium (apt-get install chromium), or run scripts/setup.sh")
}

// build builds a program of the root module, with the race detector if the tests have it.
func build(path, program string) error {
	args := []string{"build", "-o", path}
	if info, ok := debug.ReadBuildInfo(); ok && slices.Contains(info.Settings, debug.BuildSetting{Key: "-race", Value: "true"}) {
		args = append(args, "-race")
	}
	command := exec.Command("go", append(args, program)...)
	command.Dir = ".."
	if out, err := command.CombinedOutput(); err != nil {
		return fmt.Errorf("go build %s: %w\n%s", program, err, out)
	}
	return nil
}
