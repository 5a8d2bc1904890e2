package main

import (
	"context"
	"io"
	"os"
	"strings"

	"github.com/benbjohnson/clock"
)

// view shows a run until ctx ends; look returns how it stands.
type view func(ctx context.Context, clk clock.Clock, look func() snapshot)

// newView returns the live view where out is a terminal that can show it, and
// plain lines where not.
func newView(plainLines bool, getenv func(string) string, out io.Writer) view {
	term := getenv("TERM")
	file, isFile := out.(*os.File)
	if plainLines || !isFile || term == "" || term == "dumb" {
		return plainView(out)
	}
	if _, _, ok := terminalSize(file); !ok {
		return plainView(out)
	}
	l := liveView{out: file, colors: getenv("NO_COLOR") == "", glyphs: ascii}
	if utf8Locale(getenv) {
		l.glyphs = blocks
	}
	return l.show
}

// utf8Locale reports whether the terminal is said to show more than ASCII.
func utf8Locale(getenv func(string) string) bool {
	for _, name := range []string{"LC_ALL", "LC_CTYPE", "LANG"} {
		if locale := strings.ToLower(getenv(name)); locale != "" {
			return strings.Contains(locale, "utf-8") || strings.Contains(locale, "utf8")
		}
	}
	return false
}
