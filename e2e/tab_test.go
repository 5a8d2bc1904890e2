package e2e_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/audits"
	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
)

// within is how long the tests wait for something, on a machine however busy.
const within = 90 * time.Second

// tab is a tab of the browser. What its pages report in the console, and what they tried
// against their Content-Security-Policy, fails the test.
type tab struct {
	t   *testing.T
	ctx context.Context // it is how chromedp names a tab

	mu       sync.Mutex
	expected []string // parts of reports that are no fault
	reports  []string
}

// newTab opens a tab in a profile of its own.
func newTab(t *testing.T) *tab {
	t.Helper()
	return openTab(browser, t, chromedp.WithNewBrowserContext())
}

// another opens one more tab in the same window, in front of this one.
func (b *tab) another() *tab {
	b.t.Helper()
	return openTab(b.ctx, b.t, chromedp.WithNewWindow(false))
}

func openTab(parent context.Context, t *testing.T, option chromedp.ContextOption) *tab {
	t.Helper()
	b := &tab{t: t}
	ctx, closeTab := chromedp.NewContext(parent, option, chromedp.WithListener(b.listen))
	b.ctx = ctx
	t.Cleanup(func() {
		closeTab()
		for _, report := range b.unexpected() {
			t.Errorf("the page reports %s", report)
		}
	})
	if err := chromedp.Do(ctx); err != nil {
		t.Fatal(err)
	}
	call(b, audits.Enable, cdp.Empty{})
	return b
}

// listen collects what goes wrong in a page.
func (b *tab) listen(event any) {
	switch e := event.(type) {
	case *runtime.EventConsoleAPICalled:
		if e.Type == runtime.ConsoleAPICalledTypeError || e.Type == runtime.ConsoleAPICalledTypeWarning || e.Type == runtime.ConsoleAPICalledTypeAssert {
			var text strings.Builder
			for _, arg := range e.Args {
				fmt.Fprintf(&text, " %s%s", arg.Value, arg.Description)
			}
			b.report("console." + e.Type.String() + ":" + text.String())
		}
	case *runtime.EventExceptionThrown:
		text := e.ExceptionDetails.Text
		if e.ExceptionDetails.Exception != nil {
			text += " " + e.ExceptionDetails.Exception.Description
		}
		b.report("an exception: " + text)
	case *log.EventEntryAdded:
		if e.Entry.Level == log.EntryLevelError || e.Entry.Level == log.EntryLevelWarning {
			b.report(fmt.Sprintf("%s %s: %s %s", e.Entry.Source, e.Entry.Level, e.Entry.Text, e.Entry.URL))
		}
	case *audits.EventIssueAdded:
		b.report("the issue " + e.Issue.Code.String())
	}
}

func (b *tab) report(text string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.reports = append(b.reports, text)
}

// expect allows reports that have such a part.
func (b *tab) expect(part string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.expected = append(b.expected, part)
}

// unexpected returns the reports that are faults.
func (b *tab) unexpected() []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return slices.DeleteFunc(slices.Clone(b.reports), func(report string) bool {
		return slices.ContainsFunc(b.expected, func(part string) bool { return strings.Contains(report, part) })
	})
}

// run runs an action in the tab.
func run[T any](b *tab, action chromedp.Action[T]) (T, error) {
	ctx, cancel := context.WithTimeout(b.ctx, within)
	defer cancel()
	return chromedp.Run(ctx, action)
}

// call sends a command to the tab.
func call[P, R any](b *tab, command cdp.Command[P, R], params P) R {
	b.t.Helper()
	result, err := run(b, func(ctx context.Context, t *chromedp.Target) (R, error) {
		return cdp.Call(ctx, t, command, params)
	})
	if err != nil {
		b.t.Fatalf("%s: %v", command.Method, err)
	}
	return result
}

// eval returns the value of a JavaScript expression, which may be a promise.
func eval[T any](b *tab, expression string) T {
	b.t.Helper()
	value, err := run(b, chromedp.Evaluate[T](expression, chromedp.EvalAwaitPromise))
	if err != nil {
		b.t.Fatalf("%s: %v", expression, err)
	}
	return value
}

// do evaluates a JavaScript expression for its effect.
func (b *tab) do(expression string) {
	b.t.Helper()
	eval[bool](b, "(async () => { await ("+expression+"); return true })()")
}

// wait waits until a JavaScript expression is true.
func (b *tab) wait(condition string) {
	b.t.Helper()
	var value any
	var err error
	if !eventually(b.t, func() bool {
		value, err = run(b, chromedp.Evaluate[any](condition, chromedp.EvalAwaitPromise))
		return err == nil && value == true
	}) {
		text, _ := run(b, chromedp.Evaluate[string]("document.body.innerText"))
		b.t.Fatalf("after %v, %s is %v, %v; the page says:\n%s", within, condition, value, err, text)
	}
}

// eventually asks for a condition until it is met. It reports whether it was in time.
func eventually(t *testing.T, condition func() bool) bool {
	t.Helper()
	ticker := time.NewTicker(50 * time.Millisecond)
	defer ticker.Stop()
	for end := time.Now().Add(within); time.Now().Before(end); <-ticker.C {
		if condition() {
			return true
		}
	}
	return false
}

// open opens a page.
func (b *tab) open(url string) {
	b.t.Helper()
	if _, err := run(b, chromedp.Navigate(url)); err != nil {
		b.t.Fatalf("opening %s: %v", url, err)
	}
}

// click clicks on the element that a CSS selector names.
func (b *tab) click(selector string) {
	b.t.Helper()
	if _, err := run(b, chromedp.Click(chromedp.CSS(selector))); err != nil {
		b.t.Fatalf("clicking on %s: %v", selector, err)
	}
}

// press presses keys.
func (b *tab) press(keys string) {
	b.t.Helper()
	if _, err := run(b, chromedp.KeyEvent(keys)); err != nil {
		b.t.Fatal(err)
	}
}

// toFront brings the tab to the front of its window.
func (b *tab) toFront() {
	b.t.Helper()
	call(b, page.BringToFront, cdp.Empty{})
}

// close closes the tab, as its user does.
func (b *tab) close() {
	b.t.Helper()
	call(b, page.Close, cdp.Empty{})
}

// screen is what a page is shown on.
type screen struct {
	width, height int64
	scale         float64
	dark          bool
}

var screens = []screen{
	{390, 844, 2, false},
	{390, 844, 2, true},
	{1280, 900, 1, false},
	{1280, 900, 1, true},
}

func (s screen) String() string {
	scheme := "light"
	if s.dark {
		scheme = "dark"
	}
	return fmt.Sprintf("%d-%s", s.width, scheme)
}

// show shows the tab on a screen.
func (b *tab) show(s screen) {
	b.t.Helper()
	scheme := &emulation.MediaFeature{Name: "prefers-color-scheme", Value: "light"}
	if s.dark {
		scheme.Value = "dark"
	}
	call(b, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{Features: []*emulation.MediaFeature{scheme}})
	call(b, emulation.SetDeviceMetricsOverride, emulation.SetDeviceMetricsOverrideParams{
		Width: s.width, Height: s.height, DeviceScaleFactor: s.scale, Mobile: s.width < 500,
	})
}

// screenshot writes a picture of the whole page to the directory screenshots.
func (b *tab) screenshot(name string) {
	b.t.Helper()
	picture, err := run(b, chromedp.FullScreenshot(100))
	if err != nil {
		b.t.Fatal(err)
	}
	const dir = "screenshots"
	if err := os.MkdirAll(dir, 0o755); err != nil {
		b.t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, name+".png"), picture, 0o644); err != nil {
		b.t.Fatal(err)
	}
}
