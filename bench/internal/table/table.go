// Package table writes Markdown tables.
package table

import (
	"fmt"
	"io"
	"strings"
)

// Row writes a row of a table.
func Row(out io.Writer, cells ...any) {
	texts := make([]string, len(cells))
	for i, c := range cells {
		texts[i] = fmt.Sprint(c)
	}
	fmt.Fprintf(out, "| %s |\n", strings.Join(texts, " | "))
}

// Heading writes the header of a table.
func Heading(out io.Writer, cells ...any) {
	Row(out, cells...)
	fmt.Fprintln(out, strings.Repeat("|---", len(cells))+"|")
}
