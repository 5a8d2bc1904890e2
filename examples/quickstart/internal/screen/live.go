package screen

import (
	"fmt"
	"os"
	"strings"

	"github.com/roomtoken/roomtoken/examples/quickstart/internal/demo"
)

// live redraws frames in place, on the terminal's alternate screen. Close restores
// what was there before.
type live struct {
	out    *os.File
	colors bool
	glyphs glyphs
	open   bool // on the alternate screen
}

const (
	enterScreen = "\x1b[?1049h\x1b[?25l" // alternate screen, no cursor
	leaveScreen = "\x1b[?25h\x1b[?1049l"
	home        = "\x1b[H"
	eraseLine   = "\x1b[K"
	eraseRest   = "\x1b[J"
)

func (v *live) Draw(s demo.Snapshot) {
	if !v.open {
		v.open = true
		fmt.Fprint(v.out, enterScreen)
	}
	width, height, ok := terminalSize(v.out)
	if !ok {
		width, height = 80, 24
	}
	fmt.Fprint(v.out, v.render(frame(s, width, height, v.glyphs)))
}

func (v *live) Close() {
	if v.open {
		v.open = false
		fmt.Fprint(v.out, leaveScreen)
	}
}

// render returns the output for a frame, to be written at once to avoid flicker.
// It erases each line before writing it: after a line of full width, erasing to the
// end would delete the last character.
func (v *live) render(lines []line) string {
	var b strings.Builder
	b.WriteString(home)
	for i, l := range lines {
		if i > 0 {
			b.WriteString("\r\n")
		}
		b.WriteString(eraseLine)
		if v.colors {
			b.WriteString(l.colored())
		} else {
			b.WriteString(l.String())
		}
	}
	b.WriteString(eraseRest)
	return b.String()
}
