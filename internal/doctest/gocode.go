package doctest

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"go/ast"
	"go/importer"
	"go/parser"
	"go/token"
	"go/types"
	"io"
	"os"
	"os/exec"
	"path"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// Go checks blocks of Go code against the packages that they use. A block is one of these:
//
//   - a file, if it begins with a package clause,
//   - declarations, such as a test,
//   - statements, of a function that returns an error.
//
// Only a file has imports. The others may use the packages of an Env by their names, and
// its variables. A line "..." stands for code that is left out.
type Go struct {
	env      Env
	fset     *token.FileSet
	importer types.Importer
}

// Env is what blocks without imports may use.
type Env struct {
	Packages  []string // import paths, each behind a name and a space where it is not the last element
	Variables string   // declarations, in Go
}

// NewGo returns a Go for code that uses packages of the module in whose directory the test
// runs, and of those that it requires. It builds the packages.
func NewGo(t testing.TB, env Env) *Go {
	t.Helper()
	g := &Go{env: env, fset: token.NewFileSet()}
	args := []string{"list", "-export", "-deps", "-json=ImportPath,Export"}
	for _, p := range env.Packages {
		_, path := importSpec(p)
		args = append(args, path)
	}
	command := exec.CommandContext(t.Context(), "go", args...)
	var stderr strings.Builder
	command.Stderr = &stderr
	out, err := command.Output()
	if err != nil {
		t.Fatalf("go %s: %v\n%s", strings.Join(args, " "), err, &stderr)
	}
	exports := map[string]string{} // files with the types of a package, by import path
	for decoder := json.NewDecoder(bytes.NewReader(out)); ; {
		var p struct{ ImportPath, Export string }
		err := decoder.Decode(&p)
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		exports[p.ImportPath] = p.Export
	}
	g.importer = importer.ForCompiler(g.fset, "gc", func(path string) (io.ReadCloser, error) {
		file := exports[path]
		if file == "" {
			return nil, errors.New("it is not among the packages of the Env")
		}
		return os.Open(file) //nolint:gosec // that the go command named
	})
	return g
}

// Check returns what a compiler would say, each with the place on the page. Only in a whole
// file are unused variables and imports errors.
func (g *Go) Check(block Code) (errs []error) {
	isFile := strings.HasPrefix(strings.TrimSpace(block.Text), "package ")
	files, err := g.parse(block, isFile)
	if err != nil {
		return []error{err}
	}
	config := types.Config{
		Importer: g.importer,
		Error: func(err error) {
			if problem, ok := err.(types.Error); ok && problem.Soft && !isFile { //nolint:errorlint // as documented
				return
			}
			errs = append(errs, err)
		},
	}
	_, _ = config.Check("block", g.fset, files, nil) // reports to Error
	return errs
}

// parse returns the files of a package that has the block.
func (g *Go) parse(block Code, isFile bool) ([]*ast.File, error) {
	line := fmt.Sprintf("//line %s:%d\n", block.Path, block.Line)
	if isFile {
		file, err := g.parseFile(line + block.Text)
		return []*ast.File{file}, err
	}
	code := line + elision.ReplaceAllString(block.Text, "")
	file, err := g.parseFile("package block\n" + g.imports(code) + code)
	if err != nil {
		code = "func _() error {\n{\n" + code + "\n}\nreturn nil\n}\n"
		if file, err = g.parseFile("package block\n" + g.imports(code) + code); err != nil {
			return nil, err
		}
	}
	variables, err := g.parseFile("package block\n" + g.imports(g.env.Variables) + g.env.Variables)
	return []*ast.File{file, variables}, err
}

func (g *Go) parseFile(code string) (*ast.File, error) {
	return parser.ParseFile(g.fset, "block.go", code, parser.SkipObjectResolution)
}

// elision matches a line that stands for code that is left out.
var elision = regexp.MustCompile(`(?m)^\t*\.\.\.$`)

// used matches the name of a package before a dot.
var used = regexp.MustCompile(`\b([a-z0-9]+)\.`)

// imports returns import declarations for the packages of the Env that code may use.
func (g *Go) imports(code string) string {
	var b strings.Builder
	names := namesIn(code)
	for _, p := range g.env.Packages {
		if name, path := importSpec(p); slices.Contains(names, name) {
			fmt.Fprintf(&b, "import %s %q\n", name, path)
		}
	}
	return b.String()
}

// namesIn returns what stands before a dot in the code: names of packages, among others.
func namesIn(code string) (names []string) {
	for _, match := range used.FindAllStringSubmatch(code, -1) {
		names = append(names, match[1])
	}
	return names
}

// importSpec returns the name and the path of a package of an Env.
func importSpec(p string) (name, importPath string) {
	if name, importPath, ok := strings.Cut(p, " "); ok {
		return name, importPath
	}
	return path.Base(p), p
}

// UsesAny reports whether the code uses one of the packages of those names.
func UsesAny(block Code, packages ...string) bool {
	return slices.ContainsFunc(namesIn(block.Text), func(name string) bool { return slices.Contains(packages, name) })
}

// CheckGo checks the blocks of Go code on all pages that a test is responsible for. It fails
// the test if there are none.
func (r *Repository) CheckGo(t testing.TB, env Env, responsible func(Code) bool) {
	t.Helper()
	g := NewGo(t, env)
	n := 0
	for _, page := range r.pages {
		for _, block := range page.Blocks("go") {
			if !responsible(block) {
				continue
			}
			n++
			for _, err := range g.Check(block) {
				t.Error(err)
			}
		}
	}
	if n == 0 {
		t.Error("no page has a block of Go code for this test")
	}
}
