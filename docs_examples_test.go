package roomtoken_test

import (
	"go/ast"
	"go/doc"
	"go/parser"
	"go/token"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// notShown are methods that need no example: they make values print and encode, or say what
// their name says.
var notShown = regexp.MustCompile(`^(Error|Format|IsZero|LogValue|Marshal.*|ServeHTTP|String|Unwrap)$`)

// Every exported function and method is called in an Example that has output.
func TestExamplesShowEveryFeature(t *testing.T) {
	for _, dir := range []string{".", "roomhttp", "statuspage", "telnyx"} {
		files, err := filepath.Glob(filepath.Join(dir, "*.go"))
		if err != nil || len(files) == 0 {
			t.Fatalf("%s: %v, %d files", dir, err, len(files))
		}
		features, shown := map[string]bool{}, map[string]bool{}
		for _, name := range files {
			file, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.ParseComments|parser.SkipObjectResolution)
			if err != nil {
				t.Fatal(err)
			}
			if !strings.HasSuffix(name, "_test.go") {
				for _, declaration := range file.Decls {
					if f, ok := declaration.(*ast.FuncDecl); ok && isFeature(f) {
						features[f.Name.Name] = true
					}
				}
				continue
			}
			for _, example := range doc.Examples(file) {
				if example.Output == "" {
					continue
				}
				ast.Inspect(example.Code, func(n ast.Node) bool {
					if s, ok := n.(*ast.SelectorExpr); ok {
						shown[s.Sel.Name] = true
					}
					return true
				})
			}
		}
		for name := range features {
			if !shown[name] {
				t.Errorf("%s: no Example with output calls %s", dir, name)
			}
		}
	}
}

// isFeature reports whether a function or method is exported, and needs an example.
func isFeature(f *ast.FuncDecl) bool {
	if f.Recv != nil {
		of := f.Recv.List[0].Type
		if pointer, ok := of.(*ast.StarExpr); ok {
			of = pointer.X
		}
		if name, ok := of.(*ast.Ident); !ok || !name.IsExported() {
			return false
		}
	}
	return f.Name.IsExported() && !notShown.MatchString(f.Name.Name)
}
