// Package doctest holds the documentation to the code: it reads pages in Markdown, compiles
// the Go in them, and checks their commands and links. It is for tests.
package doctest

import (
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"unicode"
)

// Page is a page in Markdown.
type Page struct {
	Path string // of the file
	Text string
}

// Read reads a page.
func Read(t testing.TB, path string) Page {
	t.Helper()
	text, err := os.ReadFile(path) //nolint:gosec // of the test's choice
	if err != nil {
		t.Fatal(err)
	}
	return Page{path, string(text)}
}

// Code is code on a page: a fenced block, or a span between backquotes.
type Code struct {
	Path string
	Line int // the first line of the code
	Text string
}

// fenced matches a fenced block: its indentation, its language and its code.
var fenced = regexp.MustCompile("(?m)^( *)```([a-z]*)\n((?s:.*?\n)??) *```$")

// Blocks returns the fenced blocks of a language.
func (p Page) Blocks(language string) (blocks []Code) {
	for _, at := range fenced.FindAllStringSubmatchIndex(p.Text, -1) {
		indent, code := p.Text[at[2]:at[3]], p.Text[at[6]:at[7]]
		if p.Text[at[4]:at[5]] == language {
			code = strings.TrimPrefix(strings.ReplaceAll("\n"+code, "\n"+indent, "\n"), "\n")
			blocks = append(blocks, Code{p.Path, p.line(at[6]), code})
		}
	}
	return blocks
}

// Prose returns the text of the page, with fenced blocks blanked out line by line.
func (p Page) Prose() string {
	return fenced.ReplaceAllStringFunc(p.Text, func(block string) string {
		return strings.Repeat("\n", strings.Count(block, "\n"))
	})
}

// span matches code between single backquotes, which may go on in the next line.
var span = regexp.MustCompile("`([^`]+)`")

// Spans returns the code between backquotes, each on one line.
func (p Page) Spans() (spans []Code) {
	prose := Page{p.Path, p.Prose()}
	for _, at := range span.FindAllStringSubmatchIndex(prose.Text, -1) {
		text := strings.Join(strings.Fields(prose.Text[at[2]:at[3]]), " ")
		spans = append(spans, Code{p.Path, prose.line(at[2]), text})
	}
	return spans
}

// line returns the number of the line at an offset of the text.
func (p Page) line(offset int) int { return 1 + strings.Count(p.Text[:offset], "\n") }

// heading matches a heading of any level.
var heading = regexp.MustCompile(`(?m)^#+ (.+)$`)

// Section returns the text between a heading and the next one, of whatever level. It is
// empty if there is no such heading.
func (p Page) Section(title string) string {
	prose := p.Prose()
	for _, at := range heading.FindAllStringSubmatchIndex(prose, -1) {
		if prose[at[2]:at[3]] != title {
			continue
		}
		section := prose[at[1]:]
		if next := heading.FindStringIndex(section); next != nil {
			section = section[:next[0]]
		}
		return section
	}
	return ""
}

// Table returns the cells of the table below a heading, row by row, without the head of
// the table.
func (p Page) Table(title string) (rows [][]string) {
	for line := range strings.Lines(p.Section(title)) {
		line = strings.TrimSpace(line)
		if !strings.HasPrefix(line, "|") {
			continue
		}
		cells := strings.Split(strings.Trim(line, "|"), "|")
		for i, cell := range cells {
			cells[i] = strings.TrimSpace(cell)
		}
		rows = append(rows, cells)
	}
	return rows[min(2, len(rows)):] // the head, and the line below it
}

// Entries returns the entries of the table below a heading: of each row, some of its
// columns, joined with " | ". Rows in which the first of them is empty have none.
func (p Page) Entries(title string, columns ...int) (entries []string) {
	for _, row := range p.Table(title) {
		var cells []string
		for _, column := range columns {
			cells = append(cells, row[min(column, len(row)-1)])
		}
		if cells[0] != "" {
			entries = append(entries, strings.Join(cells, " | "))
		}
	}
	return entries
}

// CompareTable fails the test unless the table below a heading has the entries want, in any
// order, and a text in the last cell of every row.
func (p Page) CompareTable(t testing.TB, title string, want []string, columns ...int) {
	t.Helper()
	got := p.Entries(title, columns...)
	for _, entry := range want {
		if !slices.Contains(got, entry) {
			t.Errorf("%s, %s: %s is missing", p.Path, title, entry)
		}
	}
	for i, entry := range got {
		if !slices.Contains(want, entry) {
			t.Errorf("%s, %s: there is no %s", p.Path, title, entry)
		}
		if slices.Contains(got[:i], entry) {
			t.Errorf("%s, %s: %s is listed twice", p.Path, title, entry)
		}
	}
	for _, row := range p.Table(title) {
		if row[len(row)-1] == "" {
			t.Errorf("%s, %s: the last cell of the row %q is empty", p.Path, title, row)
		}
	}
}

// anchors returns the anchors that GitHub makes of the headings.
func (p Page) anchors() map[string]bool {
	anchors := map[string]bool{}
	for _, match := range heading.FindAllStringSubmatch(p.Prose(), -1) {
		anchors[strings.Map(func(r rune) rune {
			switch {
			case r == ' ':
				return '-'
			case r == '-' || r == '_' || unicode.IsLetter(r) || unicode.IsDigit(r):
				return unicode.ToLower(r)
			default:
				return -1
			}
		}, match[1])] = true
	}
	return anchors
}
