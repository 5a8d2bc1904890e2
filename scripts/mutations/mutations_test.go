package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// A mutation whose text the library no longer contains proves nothing.
func TestEveryMutationApplies(t *testing.T) {
	text, err := os.ReadFile("../mutations.txt")
	if err != nil {
		t.Fatal(err)
	}
	mutations, err := parse(string(text))
	if err != nil {
		t.Fatal(err)
	}
	if want := strings.Count(string(text), "\n<<<<\n"); len(mutations) != want || want == 0 {
		t.Errorf("parse found %d mutations, want %d", len(mutations), want)
	}
	titles := make(map[string]bool)
	for _, m := range mutations {
		if titles[m.title] {
			t.Errorf("two mutations are called %q", m.title)
		}
		titles[m.title] = true
		if _, _, err := find("../..", m.from); err != nil {
			t.Errorf("scripts/mutations.txt: %s: %v:\n%s", m.title, err, m.from)
		}
	}
}

func TestParse(t *testing.T) {
	const good = "A comment.\n\n# 1: first\n<<<<\n\ta\n\tb\n====\n\tc\n>>>>\n\n# 2: second\n<<<<\nd\n====\n>>>>\n"
	got, err := parse(good)
	if err != nil {
		t.Fatal(err)
	}
	want := []mutation{{"1: first", "\ta\n\tb\n", "\tc\n"}, {"2: second", "d\n", ""}}
	if len(got) != len(want) || got[0] != want[0] || got[1] != want[1] {
		t.Errorf("parse returned %q, want %q", got, want)
	}

	for name, bad := range map[string]string{
		"no snippet":        "# 1: first\n",
		"no divider":        "# 1: first\n<<<<\na\n>>>>\n",
		"no end":            "# 1: first\n<<<<\na\n====\nb\n",
		"replaces nothing":  "# 1: first\n<<<<\n====\nb\n>>>>\n",
		"changes nothing":   "# 1: first\n<<<<\na\n====\na\n>>>>\n",
		"second has no end": good + "\n# 3: third\n<<<<\n",
	} {
		if got, err := parse(bad); err == nil {
			t.Errorf("%s: parse returned %q, want an error", name, got)
		}
	}
}

func TestFindWantsOneOccurrence(t *testing.T) {
	dir := t.TempDir()
	for name, content := range map[string]string{
		"a.go":                 "once twice",
		"b.go":                 "twice thrice and thrice",
		"a_test.go":            "once tested",
		"internal/x/x.go":      "inner",
		"internal/x/x_test.go": "inner",
		"sub/sub.go":           "once outside",
	} {
		path := filepath.Join(dir, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for text, want := range map[string]string{
		"once":    "a.go",
		"inner":   "internal/x/x.go",
		"twice":   "", // in two files
		"thrice":  "", // twice in one file
		"tested":  "", // in a test
		"outside": "", // in a package that mutations leave alone
		"never":   "",
	} {
		path, content, err := find(dir, text)
		switch {
		case want == "" && err == nil:
			t.Errorf("find(%q) returned %s, want an error", text, path)
		case want == "":
		case err != nil:
			t.Errorf("find(%q): %v", text, err)
		case path != filepath.Join(dir, filepath.FromSlash(want)) || !strings.Contains(string(content), text):
			t.Errorf("find(%q) returned %s with content %q, want %s", text, path, content, want)
		}
	}
}
