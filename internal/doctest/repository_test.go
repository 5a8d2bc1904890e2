package doctest_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/roomtoken/roomtoken/internal/doctest"
)

// open returns a repository with two modules.
func open(t *testing.T) *doctest.Repository {
	t.Helper()
	root := t.TempDir()
	for name, text := range map[string]string{
		"Makefile":    "COUNT ?= 1\ntest: setup ## all tests\nsetup:\n",
		"go.mod":      "module example.com/lib\n\ngo 1.25\n",
		"lib_test.go": "package lib\n\nfunc TestOne(t *testing.T) {}\n\nvar seed = flag.Int(\"sim.seed\", 0, \"\")\n",
		"README.md":   "# Lib\n\n[here](#lib) [there](docs/a.md#the-end) [code](prog) [far](https://example.com/x)\n",
		"docs/a.md": "# Page `a`, or B_2\n\n## The end.\n\n[up](../README.md)\n[no page](b.md)\n[no heading](../README.md#end) [none](../go.mod#x)\n" +
			"\n```go\nfmt.Println()\n```\n\n```go\nstrings.Cut(a, b)\n```\n",
		"CHANGELOG.md":      "[gone](gone.md)\n",
		"prog/main.go":      "package main\n\nfunc main() { flag.BoolVar(&fast, \"fast\", false, \"\") }\n",
		"prog/fast_test.go": "package main\n\nfunc BenchmarkFast(b *testing.B) {}\n\nfunc FuzzFast(f *testing.F) {}\n",
		"tool/go.mod":       "module example.com/lib/tool\n",
		"tool/main.go":      "package main\n\nvar n = flag.String(\"only\", \"\", \"\")\n",
		"tool/p/alerts.yml": "",
		"testdata/c.md":     "[gone](gone.md)\n",
		".git/d.md":         "[gone](gone.md)\n",
	} {
		file := filepath.Join(root, name)
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return doctest.Open(t, root)
}

func TestLinks(t *testing.T) {
	repository := open(t)
	var got []string
	for _, page := range repository.Pages() {
		for _, err := range repository.CheckLinks(page) {
			text := err.Error()
			got = append(got, text[strings.LastIndex(text, string(filepath.Separator)+filepath.Base(page.Path))+1:])
		}
	}
	want := []string{
		"a.md:6: the link to b.md leads nowhere",
		"a.md:7: the link to ../README.md#end leads nowhere",
		"a.md:7: the link to ../go.mod#x leads nowhere",
	}
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("got  %q\nwant %q", got, want)
	}
	page := doctest.Page{Path: repository.Pages()[0].Path, Text: "[a](docs/a.md#page-a-or-b_2)"}
	if errs := repository.CheckLinks(page); len(errs) > 0 {
		t.Error(errs)
	}
}

func TestCommands(t *testing.T) {
	page := doctest.Page{Path: "a.md", Text: "Run `make test`, not `make` or `run it`, or `COUNT=2 make test`.\n" +
		"\n```sh\ngo run ./prog   # at once\n\nmake test\n```\n"}
	want := []doctest.Code{
		{Path: "a.md", Line: 4, Text: "go run ./prog"},
		{Path: "a.md", Line: 6, Text: "make test"},
		{Path: "a.md", Line: 1, Text: "make test"},
		{Path: "a.md", Line: 1, Text: "COUNT=2 make test"},
	}
	if got := doctest.Commands(page); fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

func TestCheckCommand(t *testing.T) {
	repository := open(t)
	for command, want := range map[string]string{
		"make test":                             "",
		"make test COUNT=2":                     "",
		"COUNT=2 make setup":                    "",
		"make install":                          "no target install",
		"make test ROUNDS=2":                    "no variable ROUNDS",
		"ROUNDS=2 make test":                    "no variable ROUNDS",
		"KEY=x go run ./prog":                   "",
		"go run ./prog -fast=true":              "",
		"go run ./prog --slow":                  "no such flag",
		"go run . -only x":                      "",
		"go run . -fast":                        "no such flag",
		"go run ./docs":                         "no program ./docs",
		"go run":                                "names no package",
		"go":                                    "names no command",
		"go test ./...":                         "",
		"go test -run '^TestOne$/a' -count=1 .": "",
		"go test -run=TestTwo .":                "no (Test|Fuzz|Example) is called TestTwo",
		"go test -run=Test( .":                  "missing",
		"go test -run='^TestName$' .":           "",
		"go test -run=NONE -bench=Fast ./...":   "",
		"go test -run=NONE -bench=Slow ./...":   "no Benchmark is called Slow",
		"go test -fuzz=FuzzFast ./prog":         "",
		"go test -fuzz=FuzzFast .":              "no Fuzz is called",
		"go test . -args -sim.seed=N":           "",
		"go test . -args -sim.seeds=N":          "no flag -sim.seeds",
		"go test ./docs":                        "has no tests",
		"go get example.com/lib/tool@v1":        "",
		"go get example.com/other":              "no module example.com/other",
		"go mod tidy":                           "",
		"go fly":                                "does not know go fly",
		"bash go.mod":                           "",
		"bash .ci/run":                          "no file .ci/run",
		"promtool test rules alerts.yml":        "",
		"promtool test rules rules.yml":         "no file rules.yml",
		"COUNT=2":                               "names no program",
		"rm -rf /":                              "names no program",
	} {
		err := repository.CheckCommand(doctest.Code{Path: "a.md", Line: 7, Text: command})
		if got := fmt.Sprint(err); want == "" && err != nil || want != "" && !(strings.Contains(got, want) && strings.HasPrefix(got, "a.md:7: "+command)) {
			t.Errorf("%s: %v, want %q", command, err, want)
		}
	}
}
