package roomtoken_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

const thisModule = "github.com/roomtoken/roomtoken"

// allowedModules are the modules that a program that imports the library may
// compile, apart from the standard library.
var allowedModules = map[string]bool{
	thisModule:                       true,
	"golang.org/x/sync":              true,
	"github.com/cenkalti/backoff/v4": true,
	"github.com/benbjohnson/clock":   true,
}

// listed is what the test asks `go list -json` for.
type listed struct {
	ImportPath string
	Standard   bool
	DepOnly    bool // not named on the command line
	Module     struct{ Path string }
	Imports    []string
}

// unwelcome returns why a program that imports the library must not compile p, or
// "" if it may.
func unwelcome(p listed) string {
	switch {
	case p.ImportPath == "testing" || strings.HasPrefix(p.ImportPath, "testing/"):
		return "it is for tests, and testing registers flags in every program"
	case p.Standard && strings.Contains(p.ImportPath, "internal/"): // package sync needs internal/synctest
		return ""
	case strings.HasSuffix(path.Base(p.ImportPath), "test"):
		return "it is a test helper"
	case p.Standard || allowedModules[p.Module.Path]:
		return ""
	default:
		return "module " + p.Module.Path + " is not a dependency of the library; code that needs it belongs in a module of its own"
	}
}

func TestImportersCompileNoTestCodeAndNoOtherModules(t *testing.T) {
	packages := goListDeps(t, append(internalPackages(t), ".", "./roomhttp", "./statuspage", "./storeseal", "./telnyx")...)
	importers := make(map[string]string) // for each package, one that imports it; "" for those named on the command line
	for _, p := range packages {
		if !p.DepOnly {
			importers[p.ImportPath] = ""
		}
	}
	for _, p := range slices.Backward(packages) { // dependencies come first
		for _, imported := range p.Imports {
			if _, known := importers[imported]; !known {
				importers[imported] = p.ImportPath
			}
		}
	}
	for _, want := range []string{thisModule, thisModule + "/roomhttp", thisModule + "/statuspage", thisModule + "/storeseal", thisModule + "/telnyx"} {
		if _, ok := importers[want]; !ok {
			t.Errorf("go list did not list %s", want)
		}
	}

	for _, p := range packages {
		reason := unwelcome(p)
		if reason == "" {
			continue
		}
		chain := p.ImportPath
		for importer := importers[p.ImportPath]; importer != ""; importer = importers[importer] {
			chain = importer + " -> " + chain
		}
		t.Errorf("a program that imports the library compiles %s: %s\n\t%s", p.ImportPath, reason, chain)
	}
}

func TestUnwelcome(t *testing.T) {
	for _, test := range []struct {
		path, module string
		unwelcome    bool
	}{
		{"net/http", "", false},
		{"internal/synctest", "", false},
		{"testing", "", true},
		{"testing/synctest", "", true},
		{"net/http/httptest", "", true},
		{thisModule, thisModule, false},
		{thisModule + "/internal/refresh", thisModule, false},
		{thisModule + "/telnyx/telnyxtest", thisModule, true},
		{thisModule + "/roomtokentest", thisModule, true},
		{thisModule + "/storetest", thisModule, true},
		{"golang.org/x/sync/singleflight", "golang.org/x/sync", false},
		{"github.com/benbjohnson/clock", "github.com/benbjohnson/clock", false},
		{"github.com/cenkalti/backoff/v4", "github.com/cenkalti/backoff/v4", false},
		{"github.com/cenkalti/backoff/v5", "github.com/cenkalti/backoff/v5", true},
		{"github.com/stretchr/testify/require", "github.com/stretchr/testify", true},
		{"go.uber.org/goleak", "go.uber.org/goleak", true},
		{"golang.org/x/time/rate", "golang.org/x/time", true},
	} {
		p := listed{ImportPath: test.path, Standard: test.module == ""}
		p.Module.Path = test.module
		if reason := unwelcome(p); (reason != "") != test.unwelcome {
			t.Errorf("unwelcome(%s) = %q, want a reason: %v", test.path, reason, test.unwelcome)
		}
	}
}

// A module that Dependabot does not know is never upgraded.
func TestDependabotKnowsEveryModule(t *testing.T) {
	const config = ".github/dependabot.yml"
	text, err := os.ReadFile(config)
	if err != nil {
		t.Fatal(err)
	}
	_, section, _ := strings.Cut(string(text), "package-ecosystem: gomod\n")
	section, _, _ = strings.Cut(section, "package-ecosystem:")
	lines := strings.Split(section, "\n")
	err = filepath.WalkDir(".", func(file string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && (d.Name() == "testdata" || file != "." && strings.HasPrefix(d.Name(), ".")):
			return filepath.SkipDir
		case d.Name() != "go.mod":
			return nil
		}
		dir := path.Join("/", filepath.ToSlash(filepath.Dir(file)))
		if !slices.Contains(lines, "      - "+dir) {
			t.Errorf("%s: the directories of gomod lack %s", config, dir)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// internalPackages returns the packages under internal/ that are not test helpers.
func internalPackages(t *testing.T) []string {
	t.Helper()
	var packages []string
	for p := range strings.FieldsSeq(string(goTool(t, "list", "./internal/..."))) {
		if !strings.HasSuffix(p, "test") {
			packages = append(packages, p)
		}
	}
	return packages
}

// goListDeps returns the packages and everything they compile, dependencies first.
func goListDeps(t *testing.T, packages ...string) []listed {
	t.Helper()
	out := goTool(t, append([]string{"list", "-deps", "-json=ImportPath,Standard,DepOnly,Module,Imports"}, packages...)...)
	var all []listed
	for decoder := json.NewDecoder(bytes.NewReader(out)); ; {
		var p listed
		err := decoder.Decode(&p)
		if errors.Is(err, io.EOF) {
			return all
		}
		if err != nil {
			t.Fatalf("decoding the output of go list: %v", err)
		}
		all = append(all, p)
	}
}

// goTool runs the go command and returns what it prints.
func goTool(t *testing.T, args ...string) []byte {
	t.Helper()
	name, err := exec.LookPath("go")
	if err != nil {
		t.Fatalf("this test needs the go command: %v", err)
	}
	command := exec.CommandContext(t.Context(), name, args...)
	var stderr strings.Builder
	command.Stderr = &stderr
	out, err := command.Output()
	if err != nil {
		t.Fatalf("go %s: %v\n%s", strings.Join(args, " "), err, stderr.String())
	}
	return out
}
