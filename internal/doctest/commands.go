package doctest

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

// Commands returns the commands of a page: the lines of its sh blocks, and what stands
// between backquotes and begins with one of the programs that CheckCommand knows.
func Commands(page Page) (commands []Code) {
	for _, block := range page.Blocks("sh") {
		for i, text := range strings.Split(block.Text, "\n") {
			text, _, _ = strings.Cut(text, " #")
			if text = strings.TrimSpace(text); text != "" {
				commands = append(commands, Code{block.Path, block.Line + i, text})
			}
		}
	}
	for _, span := range page.Spans() {
		if programs[program(span.Text)] != nil && strings.Contains(span.Text, " ") {
			commands = append(commands, span)
		}
	}
	return commands
}

// assignment matches an assignment to a variable, such as MODULES=.
var assignment = regexp.MustCompile(`^([A-Z_]+)=`)

// program returns the first word of a command that is no assignment.
func program(command string) string {
	for word := range strings.FieldsSeq(command) {
		if !assignment.MatchString(word) {
			return word
		}
	}
	return ""
}

// programs are the programs that commands may begin with, and what checks their arguments.
var programs = map[string]func(r *Repository, args []string) error{
	"bash":     (*Repository).checkFiles,
	"curl":     func(*Repository, []string) error { return nil }, // of the reader's own
	"go":       (*Repository).checkGo,
	"make":     (*Repository).checkMake,
	"promtool": (*Repository).checkFiles,
}

// CheckCommand returns an error if the command names what the repository does not have: a
// target of make, a program, a test, a flag, a module or a file. It runs nothing.
func (r *Repository) CheckCommand(command Code) error {
	args := strings.Fields(strings.ReplaceAll(command.Text, "'", ""))
	for len(args) > 0 && assignment.MatchString(args[0]) {
		if slices.Contains(args, "make") {
			args = append(args[1:], args[0]) // where make accepts it, too
		} else {
			args = args[1:]
		}
	}
	err := errors.New("it names no program that CheckCommand knows")
	if check := programs[program(command.Text)]; check != nil {
		err = check(r, args[1:])
	}
	if err != nil {
		return fmt.Errorf("%s:%d: %s: %w", command.Path, command.Line, command.Text, err)
	}
	return nil
}

// checkMake checks targets and variables. Scripts read some variables.
func (r *Repository) checkMake(args []string) error {
	for _, arg := range args {
		if match := assignment.FindStringSubmatch(arg); match != nil {
			if !regexp.MustCompile(`\b` + match[1] + `\b`).MatchString(r.makefile) {
				return fmt.Errorf("the Makefile has no variable %s", match[1])
			}
		} else if !strings.Contains(r.makefile, "\n"+arg+":") {
			return fmt.Errorf("the Makefile has no target %s", arg)
		}
	}
	return nil
}

// checkFiles checks arguments that are files, as seen from any directory.
func (r *Repository) checkFiles(args []string) error {
	for _, arg := range args {
		if filepath.Ext(arg) == "" && !strings.Contains(arg, "/") {
			continue
		}
		if !exists(filepath.Join(r.root, arg)) && !r.hasBelow(arg) {
			return fmt.Errorf("there is no file %s", arg)
		}
	}
	return nil
}

// hasBelow reports whether some module has a file of that name in it.
func (r *Repository) hasBelow(name string) bool {
	for dir := range r.modules {
		for _, pattern := range []string{name, filepath.Join("*", name)} {
			if found, _ := filepath.Glob(filepath.Join(dir, pattern)); len(found) > 0 {
				return true
			}
		}
	}
	return false
}

func (r *Repository) checkGo(args []string) error {
	if len(args) == 0 {
		return errors.New("it names no command")
	}
	switch args[0] {
	case "run":
		return r.checkGoRun(args[1:])
	case "test":
		return r.checkGoTest(args[1:])
	case "get":
		return r.checkGoGet(args[1:])
	case "list", "mod", "tool", "vet":
		return nil // of modules and files of the reader's
	default:
		return fmt.Errorf("CheckCommand does not know go %s", args[0])
	}
}

func (r *Repository) checkGoGet(args []string) error {
	for _, arg := range args {
		path, _, _ := strings.Cut(arg, "@")
		if !slices.ContainsFunc(r.directories(), func(dir string) bool { return r.modules[dir] == path }) {
			return fmt.Errorf("there is no module %s", path)
		}
	}
	return nil
}

// checkGoRun checks that some module has the program, and that it has the flags.
func (r *Repository) checkGoRun(args []string) error {
	if len(args) == 0 {
		return errors.New("it names no package")
	}
	found := false
	for _, module := range r.directories() {
		code := source(filepath.Join(module, args[0]), isCode)
		if !strings.Contains(code, "\npackage main\n") {
			continue
		}
		found = true
		if unknown := slices.DeleteFunc(flags(args[1:]), func(name string) bool { return defines(code, name) }); len(unknown) == 0 {
			return nil
		}
	}
	if found {
		return errors.New("the program has no such flag")
	}
	return fmt.Errorf("there is no program %s", args[0])
}

// flags returns the names of the flags among arguments.
func flags(args []string) (names []string) {
	for _, arg := range args {
		if name, ok := strings.CutPrefix(arg, "-"); ok {
			name, _, _ = strings.Cut(name, "=")
			names = append(names, strings.TrimPrefix(name, "-"))
		}
	}
	return names
}

// defines reports whether the code defines a flag, by one of the functions of package flag.
func defines(code, name string) bool {
	return regexp.MustCompile(`\.(Bool|Duration|Float64|Func|Int|Int64|String|TextVar|Uint|Uint64)(Var)?\([^"\n]*"` +
		regexp.QuoteMeta(name) + `"`).MatchString(code)
}

// checkGoTest checks that the tests exist that the flags select, and flags of the tests.
func (r *Repository) checkGoTest(args []string) error {
	var testFlags []string
	if i := slices.Index(args, "-args"); i >= 0 {
		args, testFlags = args[:i], flags(args[i+1:])
	}
	var code strings.Builder // of the tests
	for _, module := range r.directories() {
		for _, arg := range args {
			switch {
			case strings.HasSuffix(arg, "..."):
				code.WriteString(sourceBelow(filepath.Join(module, strings.TrimSuffix(arg, "...")), isTest))
			case strings.HasPrefix(arg, "."):
				code.WriteString(source(filepath.Join(module, arg), isTest))
			}
		}
	}
	if code.Len() == 0 {
		return errors.New("the package has no tests")
	}
	for i, arg := range args {
		name, pattern, ok := strings.Cut(arg, "=")
		kind := map[string]string{"-run": "(Test|Fuzz|Example)", "-fuzz": "Fuzz", "-bench": "Benchmark"}[name]
		if kind == "" {
			continue
		}
		if !ok && i+1 < len(args) {
			pattern = args[i+1]
		}
		if pattern == "NONE" || pattern == "^TestName$" { // no test; any test
			continue
		}
		if err := selects(code.String(), kind, pattern); err != nil {
			return err
		}
	}
	for _, name := range testFlags {
		if !defines(code.String(), name) {
			return fmt.Errorf("the tests have no flag -%s", name)
		}
	}
	return nil
}

// selects returns an error unless a pattern selects a function of a kind.
func selects(code, kind, pattern string) error {
	top, _, _ := strings.Cut(pattern, "/") // what follows are subtests
	selected, err := regexp.Compile(top)
	if err != nil {
		return err
	}
	for _, match := range regexp.MustCompile(`(?m)^func (`+kind+`\w*)\(`).FindAllStringSubmatch(code, -1) {
		if selected.MatchString(match[1]) {
			return nil
		}
	}
	return fmt.Errorf("no %s is called %s", kind, pattern)
}

// directories returns the directories of the modules.
func (r *Repository) directories() (dirs []string) {
	for dir := range r.modules {
		dirs = append(dirs, dir)
	}
	slices.Sort(dirs)
	return dirs
}

func isTest(file string) bool { return strings.HasSuffix(file, "_test.go") }
func isCode(file string) bool { return strings.HasSuffix(file, ".go") && !isTest(file) }

// source returns the code of the files of a directory.
func source(dir string, want func(file string) bool) string {
	var code strings.Builder
	files, _ := filepath.Glob(filepath.Join(dir, "*.go"))
	for _, file := range files {
		if want(file) {
			text, _ := os.ReadFile(file) //nolint:gosec // of the repository
			code.WriteString("\n" + string(text))
		}
	}
	return code.String()
}

// sourceBelow returns the code of the files of a directory and of those below it.
func sourceBelow(dir string, want func(file string) bool) string {
	var code strings.Builder
	_ = filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if err == nil && d.IsDir() {
			code.WriteString(source(path, want))
		}
		return nil
	})
	return code.String()
}
