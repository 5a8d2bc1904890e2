package doctest_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/roomtoken/roomtoken/internal/doctest"
)

func TestGo(t *testing.T) {
	g := doctest.NewGo(t, doctest.Env{
		Packages:  []string{"context", "errors", "fmt", "math/rand/v2", "github.com/roomtoken/roomtoken"},
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
	if !doctest.UsesAny(code, []string{"otelroomtoken", "promroomtoken"}) || doctest.UsesAny(code, []string{"otelroomtoken"}) {
		t.Error("UsesAny does not find promroomtoken, or finds otelroomtoken")
	}
}
