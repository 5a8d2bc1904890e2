package doctest

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// Repository is what commands and links are checked against.
type Repository struct {
	root     string
	pages    []Page
	modules  map[string]string // import paths of the modules, by directory
	makefile string
}

// Open reads the repository with that root directory. It knows all pages but the
// changelog, which speaks of the past.
func Open(t testing.TB, root string) *Repository {
	t.Helper()
	r := &Repository{root: root, modules: map[string]string{}}
	r.makefile = Read(t, filepath.Join(root, "Makefile")).Text
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && path != root && (d.Name() == "testdata" || strings.HasPrefix(d.Name(), ".")):
			return filepath.SkipDir
		case d.Name() == "go.mod":
			r.modules[filepath.Dir(path)] = moduleLine.FindStringSubmatch(Read(t, path).Text)[1]
		case filepath.Ext(path) == ".md" && d.Name() != "CHANGELOG.md":
			r.pages = append(r.pages, Read(t, path))
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// moduleLine matches the line of a go.mod that names the module.
var moduleLine = regexp.MustCompile(`(?m)^module (\S+)$`)

// Pages returns the pages in Markdown.
func (r *Repository) Pages() []Page { return r.pages }

// link matches the target of a link or an image.
var link = regexp.MustCompile(`\]\(([^)\s]+)\)`)

// CheckLinks returns an error for each link of the page to a file or a heading that does
// not exist.
func (r *Repository) CheckLinks(page Page) (errs []error) {
	prose := Page{page.Path, page.Prose()}
	for _, at := range link.FindAllStringSubmatchIndex(prose.Text, -1) {
		target := prose.Text[at[2]:at[3]]
		if strings.Contains(target, "://") {
			continue
		}
		file, anchor, _ := strings.Cut(target, "#")
		path := page.Path
		if file != "" {
			path = filepath.Join(filepath.Dir(page.Path), file)
		}
		if !r.leads(path, anchor) {
			errs = append(errs, fmt.Errorf("%s:%d: the link to %s leads nowhere", page.Path, prose.line(at[0]), target))
		}
	}
	return errs
}

// leads reports whether there are such a file and such an anchor in it.
func (r *Repository) leads(path, anchor string) bool {
	if anchor == "" {
		return exists(path)
	}
	for _, page := range r.pages {
		if page.Path == path {
			return page.anchors()[anchor]
		}
	}
	return false
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}
