// Package screen shows a run of the demonstration: live in a terminal, as plain
// lines elsewhere, and in a summary at the end.
package screen

import (
	"io"
	"os"
	"strings"

	"github.com/roomtoken/roomtoken/examples/quickstart/internal/demo"
)

// New returns a live view if out is a terminal that supports it, and plain lines
// otherwise.
func New(getenv func(string) string, out io.Writer) demo.View {
	term := getenv("TERM")
	file, isFile := out.(*os.File)
	if !isFile || term == "" || term == "dumb" {
		return NewPlain(out)
	}
	if _, _, ok := terminalSize(file); !ok {
		return NewPlain(out)
	}
	v := &live{out: file, colors: getenv("NO_COLOR") == "", glyphs: ascii}
	if utf8Locale(getenv) {
		v.glyphs = blocks
	}
	return v
}

// Width returns the width of a text on out: that of the terminal, but from 20 to 80, or
// 80 if out is no terminal.
func Width(out io.Writer) int {
	if file, ok := out.(*os.File); ok {
		if columns, _, ok := terminalSize(file); ok {
			return min(max(columns, 20), 80)
		}
	}
	return 80
}

// utf8Locale reports whether the locale uses UTF-8.
func utf8Locale(getenv func(string) string) bool {
	for _, name := range []string{"LC_ALL", "LC_CTYPE", "LANG"} {
		if locale := strings.ToLower(getenv(name)); locale != "" {
			return strings.Contains(locale, "utf-8") || strings.Contains(locale, "utf8")
		}
	}
	return false
}
