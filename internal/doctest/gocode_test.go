package doctest_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/roomtoken/roomtoken/internal/doctest"
)

func TestGo(t *testing.T) {
	g := doctest.NewGo(t, doctest.Env{
		Packages:  []string{"context", "errors", "fmt", "rand math/rand/v2", "github.com/roomtoken/roomtoken"},
		Variables: "var (\n\tctx context.Context\n\tmanager *roomtoken.Manager\n)\n",
	})
	for _, test := range []struct {
		code string
		want string // of the error; "": none
	}{
		{"tok, err := manager.Token(ctx, `lobby`)\nif err != nil {\n\treturn err\n}", ""}, // tok is not used
		{"a, err := manager.Token(ctx, `a`)\n...\nb, err := manager.Token(ctx, `b`)", ""},
		{"manager.Tokens(ctx)", "page.md:9: manager.Tokens undefined"},
		{"\nmanager.Token(ctx)", "page.md:10: not enough arguments in call to manager.Token"},
		{"fmt.Println(rand.N(7))", ""},
		{"strings.Cut(``, ``)", "page.md:9: undefined: strings"},
		{"if {", "page.md:9:"},
		{"func f() error { return errors.New(`no`) }\n\ntype T struct{ roomtoken.Token }", ""},
		{"func f() error { return 7 }", "page.md:9: cannot use 7"},
		{"package main\n\nimport `fmt`\n\nfunc main() { fmt.Println() }", ""},
		{"package main\n\nimport `fmt`\n\nfunc main() {}", `page.md:11: "fmt" imported and not used`},
		{"package main\n\nfunc main() { fmt.Println() }", "page.md:11: undefined: fmt"},
		{"package main\n\nimport `net/http`\n\nvar _ http.Handler", "page.md:11: could not import net/http"},
		{"package main\n\nfunc {", "page.md:11: expected"},
	} {
		errs := g.Check(doctest.Code{Path: "page.md", Line: 9, Text: test.code})
		switch got := fmt.Sprint(errs); {
		case test.want == "" && len(errs) > 0, test.want != "" && !strings.Contains(got, test.want):
			t.Errorf("%q: %v, want %q", test.code, got, test.want)
		}
	}
}

func TestGoOfVariablesThatAreWrong(t *testing.T) {
	g := doctest.NewGo(t, doctest.Env{Packages: []string{"fmt"}, Variables: "var {"})
	if errs := g.Check(doctest.Code{Text: "fmt.Println()"}); len(errs) == 0 {
		t.Error("no error")
	}
}

func TestGoNeedsItsPackages(t *testing.T) {
	defer func() {
		if got := fmt.Sprint(recover()); !strings.Contains(got, "no such package") && !strings.Contains(got, "no.such/package") {
			t.Errorf("it failed with %s", got)
		}
	}()
	doctest.NewGo(fatal{t}, doctest.Env{Packages: []string{"no.such/package"}})
}

func TestUsesAny(t *testing.T) {
	code := doctest.Code{Text: "prometheus.MustRegister(promroomtoken.NewCollector(manager))"}
	if !doctest.UsesAny(code, "otelroomtoken", "promroomtoken") || doctest.UsesAny(code, "otelroomtoken") {
		t.Error("UsesAny does not find promroomtoken, or finds otelroomtoken")
	}
}

func TestCheckGo(t *testing.T) {
	repository := open(t)
	env := doctest.Env{Packages: []string{"fmt"}}
	for _, test := range []struct {
		uses string
		want string
	}{
		{"fmt", "[]"},
		{"strings", "a.md:14: undefined: strings"},
		{"errors", "no page has a block"},
	} {
		log := &errorLog{T: t}
		repository.CheckGo(log, env, func(block doctest.Code) bool { return doctest.UsesAny(block, test.uses) })
		if got := fmt.Sprint(log.errs); !strings.Contains(got, test.want) {
			t.Errorf("blocks that use %s: %s, want %s", test.uses, got, test.want)
		}
	}
}

// errorLog is a test whose errors are kept.
type errorLog struct {
	*testing.T
	errs []string
}

func (l *errorLog) Error(args ...any)                 { l.errs = append(l.errs, fmt.Sprint(args...)) }
func (l *errorLog) Errorf(format string, args ...any) { l.Error(fmt.Sprintf(format, args...)) }
