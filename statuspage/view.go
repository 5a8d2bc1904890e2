package statuspage

import (
	"context"
	"time"

	"github.com/roomtoken/roomtoken"
)

// view is what one viewer sees, in whichever format.
type view struct {
	title    string
	every    time.Duration // between two samples
	query    query
	now      time.Time
	closed   bool // the Manager
	stats    roomtoken.Stats
	history  []sample // the oldest first
	rooms    []roomtoken.RoomStatus
	total    int // rooms in memory
	matching int // those of them that the query lets through
}

// view waits for the rooms that the query asks for, and looks at the rest. The error is
// the cause of ctx's end.
//
// The walk finds the IDs of the rooms; their statuses are those of a moment later. So
// nothing but IDs is kept while others look, and each room has its token's fingerprint.
// A room that is gone by then is left out.
func (p *Page) view(ctx context.Context, q query) (*view, error) {
	found, err := p.walker.find(ctx, q.selector)
	if err != nil {
		return nil, err
	}
	v := &view{
		title:    p.config.Title,
		every:    p.config.Every,
		query:    q,
		rooms:    make([]roomtoken.RoomStatus, 0, len(found.roomIDs)),
		total:    found.total,
		matching: found.matching,
	}
	for _, id := range found.roomIDs {
		if status, ok := p.manager.Room(id); ok {
			v.rooms = append(v.rooms, status)
		}
	}
	v.closed = closed(p.manager)
	v.stats = p.manager.Stats()
	v.history = p.history.all()
	v.now = timeNow()
	return v, nil
}

// pages returns how many pages there are.
func (v *view) pages() int { return (v.matching + v.query.per - 1) / v.query.per }

// render returns the view in a format.
func (v *view) render(format string) ([]byte, error) {
	switch format {
	case formatHTML:
		return v.html()
	case formatJSON:
		return v.json()
	default:
		return v.text(), nil
	}
}
