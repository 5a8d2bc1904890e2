package storetest

import (
	"go/ast"
	"go/parser"
	"go/token"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// unchecked are sentences of the documentation of Store and Waker that have no check.
var unchecked = map[string][]string{
	"they introduce others": {
		"Store is where the processes of a fleet share their tokens, see Config.Store",
		"Package redisstore, in extra/redisstore, has one for Redis and Valkey",
		"package storetest tests others",
		"Acquire asks for a room",
		"In this order",
		"Waker is what a Store may implement besides, so that those who wait for another process's lease need not ask again and again",
	},
	"they are about the Manager": {
		"An error means that there is no answer, whatever the reason",
		"the Manager then goes on by itself",
		"The Manager does not rely on it",
		"it stops waiting after Config.StoreTimeout, by its own clock, and at most 32 calls of a Manager run at a time, those included that it no longer waits for",
		"A panic in a method is an error of that call",
		"wake does not block and may be called concurrently",
		"The Manager asks again at short intervals while it has not heard so",
		"the Manager then calls it again later",
	},
	"Wake calls wake soon after a lease ended is the same": {
		"With ask.Wait the asker is told when the lease ends, see Waker",
	},
	"whatever comes is allowed": {
		"Wakes may be lost, come twice, or too late",
	},
}

// documentation returns the comments of store.go, each on a line: those of the declarations
// that are picked, and of what is in them.
func documentation(t *testing.T, pick func(name string) bool) string {
	t.Helper()
	file, err := parser.ParseFile(token.NewFileSet(), "../store.go", nil, parser.ParseComments)
	if err != nil {
		t.Fatal(err)
	}
	var text strings.Builder
	for _, decl := range file.Decls {
		decl, ok := decl.(*ast.GenDecl)
		if !ok || decl.Tok != token.TYPE || !pick(decl.Specs[0].(*ast.TypeSpec).Name.Name) {
			continue
		}
		ast.Inspect(decl, func(n ast.Node) bool {
			if comment, ok := n.(*ast.CommentGroup); ok {
				plain := strings.NewReplacer("[", "", "]", "", "\n  - ", "\n").Replace(comment.Text())
				text.WriteString(strings.Join(strings.Fields(plain), " ") + "\n")
			}
			return true
		})
	}
	return text.String()
}

func TestChecksQuoteTheDocumentation(t *testing.T) {
	text := documentation(t, func(string) bool { return true })
	for _, c := range checks() {
		if !strings.Contains(text, c.sentence) {
			t.Errorf("store.go does not say %q", c.sentence)
		}
	}
}

// What is between two full stops, colons or semicolons counts as a sentence.
func TestEverySentenceHasACheck(t *testing.T) {
	text := documentation(t, func(name string) bool { return name == "Store" || name == "Waker" })
	var sentences []string
	for _, sentence := range regexp.MustCompile(`[.:;]\s`).Split(text, -1) {
		if sentence != "" {
			sentences = append(sentences, sentence)
		}
	}
	if len(sentences) < 50 {
		t.Errorf("only %d sentences were found", len(sentences))
	}
	for _, sentence := range sentences {
		checked := slices.ContainsFunc(checks(), func(c check) bool {
			return strings.Contains(c.sentence, sentence) || strings.Contains(sentence, c.sentence)
		})
		excused := false
		for _, those := range unchecked {
			excused = excused || slices.Contains(those, sentence)
		}
		if checked == excused {
			t.Errorf("%q: checked %v, listed as unchecked %v", sentence, checked, excused)
		}
	}
	for _, those := range unchecked {
		for _, sentence := range those {
			if !slices.Contains(sentences, sentence) {
				t.Errorf("listed as unchecked, but not in store.go: %q", sentence)
			}
		}
	}
}
