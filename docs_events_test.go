package roomtoken_test

import (
	"context"
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"log/slog"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/roomtoken/roomtoken"
	"github.com/roomtoken/roomtoken/internal/doctest"
	"github.com/roomtoken/roomtoken/roomtokentest"
)

const observability = "docs/observability.md"

// declared returns the constants of event.go whose names begin so, in order, and their
// values where these are texts.
func declared(t *testing.T, prefix string) (names, values []string) {
	t.Helper()
	file, err := parser.ParseFile(token.NewFileSet(), "event.go", nil, parser.SkipObjectResolution)
	if err != nil {
		t.Fatal(err)
	}
	ast.Inspect(file, func(n ast.Node) bool {
		spec, ok := n.(*ast.ValueSpec)
		if !ok || !strings.HasPrefix(spec.Names[0].Name, prefix) {
			return true
		}
		names = append(names, spec.Names[0].Name)
		if len(spec.Values) > 0 {
			if text, ok := spec.Values[0].(*ast.BasicLit); ok {
				value, _ := strconv.Unquote(text.Value)
				values = append(values, value)
			}
		}
		return true
	})
	return names, values
}

func TestDocsListEveryEvent(t *testing.T) {
	page := doctest.Read(t, observability)
	var want []string
	names, _ := declared(t, "Event")
	for i, name := range names {
		want = append(want, fmt.Sprintf("`%s` | %v", name, roomtoken.EventKind(i+1)))
	}
	page.CompareTable(t, "Events", want, 0, 1)

	want = nil
	names, values := declared(t, "Reason")
	for i, name := range names {
		want = append(want, fmt.Sprintf("`%s` | %s", name, values[i]))
	}
	page.CompareTable(t, "Reasons", want, 0, 1)
}

// lines is a log that keeps the levels of each message.
type lines map[string][]slog.Level

func (lines) Enabled(context.Context, slog.Level) bool { return true }
func (l lines) WithAttrs([]slog.Attr) slog.Handler     { return l }
func (l lines) WithGroup(string) slog.Handler          { return l }

func (l lines) Handle(_ context.Context, r slog.Record) error {
	if !slices.Contains(l[r.Message], r.Level) {
		l[r.Message] = append(l[r.Message], r.Level)
	}
	return nil
}

// entries returns them as the page lists them, the highest level first.
func (l lines) entries(prefix string) (entries []string) {
	for message, levels := range l {
		slices.Sort(levels)
		var names []string
		for _, level := range slices.Backward(levels) {
			names = append(names, level.String()[:1]+strings.ToLower(level.String()[1:]))
		}
		entries = append(entries, strings.TrimPrefix(message, prefix)+" | "+strings.Join(names, ", "))
	}
	return entries
}

// add logs an event anew, within the budget.
func (l lines) add(e roomtoken.Event) { roomtoken.LogEvents(slog.New(l))(e) }

func TestDocsListEveryLineOfAManager(t *testing.T) {
	logged := lines{}
	names, _ := declared(t, "Event")
	for i := range names {
		kind := roomtoken.EventKind(i + 1)
		logged.add(roomtoken.Event{Kind: kind})
		logged.add(roomtoken.Event{Kind: kind, Failures: 1})
		for _, err := range []error{errors.New("out of order"), roomtoken.ErrRoomNotFound, &roomtoken.PanicError{}} {
			logged.add(roomtoken.Event{Kind: kind, Err: err})
		}
	}

	overBudget := lines{}
	log := roomtoken.LogEvents(slog.New(overBudget))
	for i := range 4 {
		log(roomtoken.Event{Kind: roomtoken.EventTokenLost, Time: time.Unix(int64(i/3)*60, 0)})
	}
	const more = "roomtoken: more of the same"
	logged[more] = overBudget[more]

	manager, err := roomtoken.NewManager(&roomtokentest.Source{}, roomtoken.Config{
		Logger:  slog.New(logged),
		OnEvent: func(roomtoken.Event) { panic("a bug") },
	})
	if err != nil {
		t.Fatal(err)
	}
	_, _ = manager.Token(t.Context(), "lobby")
	_ = manager.Close() // the log is complete

	doctest.Read(t, observability).CompareTable(t, "Lines of a Manager", logged.entries("roomtoken: "), 0, 1)

	// Nothing else logs.
	for place, call := range logCalls(t, ".", regexp.MustCompile(`(?i)log(ger)?\.(LogAttrs|Log|Debug|Info|Warn|Error)\(.*`)) {
		if !strings.Contains(call, `"roomtoken: "+logText(e)`) && logged[regexp.MustCompile(`roomtoken: [^"]*`).FindString(call)] == nil {
			t.Errorf("%s: the test does not know this line of the log: %s", place, call)
		}
	}
}

func TestDocsListEveryLineOfAHandler(t *testing.T) {
	logged := lines{}
	message := regexp.MustCompile(`slog\.Level(\w+), "(?:roomhttp: )?([^"]+)"`)
	for place, call := range logCalls(t, "roomhttp", regexp.MustCompile(`(log|\bl)\.(write|LogAttrs)\(.*`)) {
		match := message.FindStringSubmatch(call)
		if match == nil {
			if !strings.Contains(call, `"roomhttp: "+text`) {
				t.Errorf("%s: the test does not understand %s", place, call)
			}
			continue
		}
		var level slog.Level
		if err := level.UnmarshalText([]byte(match[1])); err != nil {
			t.Error(err)
		}
		logged[match[2]] = append(logged[match[2]], level)
	}
	doctest.Read(t, observability).CompareTable(t, "Lines of a roomhttp.Handler", logged.entries(""), 0, 1)
}

// logCalls returns the calls in the code of a directory that match, by their place.
func logCalls(t *testing.T, dir string, pattern *regexp.Regexp) map[string]string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "*.go"))
	if err != nil {
		t.Fatal(err)
	}
	calls := map[string]string{}
	for _, file := range files {
		if strings.HasSuffix(file, "_test.go") {
			continue
		}
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for i, line := range strings.Split(string(text), "\n") {
			if call := pattern.FindString(line); call != "" {
				calls[fmt.Sprintf("%s:%d", file, i+1)] = call
			}
		}
	}
	if len(calls) == 0 {
		t.Fatalf("%s: nothing logs", dir)
	}
	return calls
}
