package main

import (
	"context"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/benbjohnson/clock"
)

// redrawEvery is how often the live view is drawn.
const redrawEvery = 200 * time.Millisecond

// liveView draws frames in place, on the terminal's second screen: what was on
// the first comes back at the end.
type liveView struct {
	out    *os.File
	colors bool
	glyphs glyphs
}

const (
	enterScreen = "\x1b[?1049h\x1b[?25l" // second screen, no cursor
	leaveScreen = "\x1b[?25h\x1b[?1049l"
	toTop       = "\x1b[H"
	eraseLine   = "\x1b[K"
	eraseRest   = "\x1b[J"
)

func (v liveView) show(ctx context.Context, clk clock.Clock, look func() snapshot) {
	fmt.Fprint(v.out, enterScreen)
	defer fmt.Fprint(v.out, leaveScreen)
	ticker := clk.Ticker(redrawEvery)
	defer ticker.Stop()
	for ctx.Err() == nil {
		width, height, ok := terminalSize(v.out)
		if !ok {
			width, height = 80, 24
		}
		fmt.Fprint(v.out, v.draw(frame(look(), width, height, v.glyphs)))
		select {
		case <-ticker.C:
		case <-ctx.Done():
		}
	}
}

// draw returns what puts the lines onto the screen. It is written at once, so
// that nobody sees half a frame. Each line is erased before it is written: at
// the last column, erasing what follows would take the last character with it.
func (v liveView) draw(lines []line) string {
	var b strings.Builder
	b.WriteString(toTop)
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
