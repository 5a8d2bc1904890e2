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
	"maps"
	"os"
	"os/exec"
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
	Packages  []string // import paths; the last element is the name
	Variables string   // declarations, in Go
}

// NewGo returns a Go for code that uses packages of the module in whose directory the test
// runs, and of those that it requires. It builds the packages.
func NewGo(t testing.TB, env Env) *Go {
	t.Helper()
	g := &Go{env: env, fset: token.NewFileSet()}
	args := append([]string{"list", "-export", "-deps", "-json=ImportPath,Export"}, env.Packages...)
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
		return os.Open(file)
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

// imports returns an import declaration for the packages of the Env that code may use.
func (g *Go) imports(code string) string {
	var b strings.Builder
	for _, name := range Names(code) {
		for _, path := range g.env.Packages {
			if packageName(path) == name {
				fmt.Fprintf(&b, "import %q\n", path)
			}
		}
	}
	return b.String()
}

// Names returns what stands before a dot in the code: names of packages, among others.
func Names(code string) []string {
	names := map[string]bool{}
	for _, match := range used.FindAllStringSubmatch(code, -1) {
		names[match[1]] = true
	}
	return slices.Sorted(maps.Keys(names))
}

// packageName returns the last element of an import path, without a version.
func packageName(path string) string {
	elements := strings.Split(path, "/")
	name := elements[len(elements)-1]
	if regexp.MustCompile(`^v[0-9]+$`).MatchString(name) && len(elements) > 1 {
		name = elements[len(elements)-2]
	}
	return name
}

// UsesAny reports whether the code uses one of the packages of those names.
func UsesAny(block Code, packages []string) bool {
	return slices.ContainsFunc(Names(block.Text), func(name string) bool { return slices.Contains(packages, name) })
}
