package doctest_test

import (
	"reflect"
	"slices"
	"testing"

	"github.com/roomtoken/roomtoken/internal/doctest"
)

const sample = "# A page\n" +
	"\n" +
	"Prose with `a span` and `one that\n" +
	"goes on`.\n" +
	"\n" +
	"```go\n" +
	"x := `no span`\n" +
	"# no heading\n" +
	"```\n" +
	"\n" +
	"## A table, at last!\n" +
	"\n" +
	"| name | what |\n" +
	"|---|---|\n" +
	"| `a` | one |\n" +
	"| `b` |  |\n" +
	"\n" +
	"### Below\n" +
	"\n" +
	"| not | ours |\n" +
	"\n" +
	"```sh\n" +
	"make test\n" +
	"```\n" +
	"\n" +
	"- An item:\n" +
	"\n" +
	"  ```sh\n" +
	"  make\n" +
	"\n" +
	"    x\n" +
	"  ```\n"

func TestPage(t *testing.T) {
	page := doctest.Page{Path: "a.md", Text: sample}
	if got, want := page.Blocks("go"), []doctest.Code{{Path: "a.md", Line: 7, Text: "x := `no span`\n# no heading\n"}}; !slices.Equal(got, want) {
		t.Errorf("blocks %q, want %q", got, want)
	}
	if got, want := page.Blocks("sh"), []doctest.Code{{Path: "a.md", Line: 23, Text: "make test\n"}, {Path: "a.md", Line: 29, Text: "make\n\n  x\n"}}; !slices.Equal(got, want) {
		t.Errorf("blocks %q, want %q", got, want)
	}
	want := []doctest.Code{
		{Path: "a.md", Line: 3, Text: "a span"},
		{Path: "a.md", Line: 3, Text: "one that goes on"},
		{Path: "a.md", Line: 15, Text: "a"},
		{Path: "a.md", Line: 16, Text: "b"},
	}
	if got := page.Spans(); !slices.Equal(got, want) {
		t.Errorf("spans %q, want %q", got, want)
	}
	if got, want := page.Table("A table, at last!"), [][]string{{"`a`", "one"}, {"`b`", ""}}; !reflect.DeepEqual(got, want) {
		t.Errorf("table %q, want %q", got, want)
	}
	if got, want := page.Entries("A table, at last!", 1, 0), []string{"one | `a`"}; !slices.Equal(got, want) {
		t.Errorf("entries %q, want %q", got, want)
	}
	if got := page.Table("no heading"); len(got) > 0 {
		t.Errorf("a heading in a block has the table %q", got)
	}
}

func TestCompareTable(t *testing.T) {
	page := doctest.Page{Path: "a.md", Text: "# T\n| a | b |\n|---|---|\n| x | 1 |\n| y | 2 |\n| y | 3 |\n| | 4 |\n| z | |\n"}
	log := &errorLog{T: t}
	page.CompareTable(log, "T", []string{"x", "w", "z"}, 0)
	want := []string{
		"a.md, T: w is missing", "a.md, T: there is no y", "a.md, T: there is no y", "a.md, T: y is listed twice",
		`a.md, T: the last cell of the row ["z" ""] is empty`,
	}
	if !slices.Equal(log.errs, want) {
		t.Errorf("errors\n%q, want\n%q", log.errs, want)
	}
}

func TestReadFails(t *testing.T) {
	defer func() {
		if recover() == nil {
			t.Error("a page that does not exist was read")
		}
	}()
	doctest.Read(fatal{t}, "no such page.md")
}

// fatal is a test in which Fatal panics.
type fatal struct{ *testing.T }

func (fatal) Fatal(args ...any)            { panic(args) }
func (fatal) Fatalf(_ string, args ...any) { panic(args) }
