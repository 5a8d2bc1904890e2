package demo

import (
	"context"
	"fmt"
	"time"

	"github.com/roomtoken/roomtoken/examples/quickstart/internal/format"
)

// scene is a part of the run with a text to show, and possibly a fault.
type scene struct {
	start, end time.Duration // since the start of the run
	level      Level
	text       string
	fault      string // its name in the result
	play       func() // injects the fault; nil if there is none
}

// playScenes injects each fault at its time.
func (d *Demo) playScenes(ctx context.Context) {
	for _, sc := range d.scenes {
		d.pause(ctx, sc.start-d.Clock.Since(d.started))
		if ctx.Err() != nil {
			return
		}
		if sc.play != nil {
			sc.play()
			d.counter.injected(sc.fault)
			d.events.add(Entry{Time: d.Clock.Now(), Text: sc.text, Level: sc.level})
		}
	}
}

// sceneAt returns the text of the current scene, or "" if there is none.
func (d *Demo) sceneAt(elapsed time.Duration) (string, Level) {
	for _, sc := range d.scenes {
		switch {
		case elapsed < sc.start || elapsed >= sc.end:
		case sc.level == Bad:
			return fmt.Sprintf("%s (%s left)", sc.text, format.Seconds(sc.end-elapsed)), Bad
		default:
			return sc.text, sc.level
		}
	}
	return "", Info
}
