package main

import (
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"time"

	"github.com/roomtoken/roomtoken"
	"github.com/roomtoken/roomtoken/bench/internal/cpu"
	"github.com/roomtoken/roomtoken/bench/internal/roomid"
)

// renewalsPerSecond does not depend on the number of rooms. It is twice as many as a
// million rooms with tokens of 650 s need.
const renewalsPerSecond = 5000

// steadySource mints without latency. A room's first token is of random age, so that
// renewals are spread evenly from the start.
type steadySource struct{ lifetime time.Duration }

func (s steadySource) grant(age time.Duration) roomtoken.Grant {
	issued := time.Now().Add(-age)
	return roomtoken.Grant{
		Token:        roomtoken.Token{Value: roomtoken.NewSecret("token"), ExpiresAt: issued.Add(s.lifetime)},
		RefreshToken: roomtoken.Token{Value: roomtoken.NewSecret("refresh token"), ExpiresAt: issued.Add(24 * time.Hour)},
		IssuedAt:     issued,
	}
}

func (s steadySource) Create(context.Context, string) (roomtoken.Grant, error) {
	renewed := renewedAt + 0.1*(rand.Float64()-0.5) // between 2/3 - 0.1 and 2/3
	return s.grant(time.Duration(rand.Float64() * renewed * float64(s.lifetime))), nil
}

func (s steadySource) Refresh(context.Context, string, roomtoken.Token) (roomtoken.Grant, error) {
	g := s.grant(0)
	g.RefreshToken = roomtoken.Token{}
	return g, nil
}

// manyRenewals measures the cost of a renewal for each number of rooms.
func manyRenewals(ctx context.Context, out io.Writer, span time.Duration, sizes ...int) error {
	fmt.Fprintf(out, "\nAbout %d renewals per second, with a source without latency\n\n", renewalsPerSecond)
	heading(out, "rooms", "renewals", "processor time per renewal", "share of a core for a million rooms renewed every 400 s")
	for _, n := range sizes {
		renewals, used, err := renewals(ctx, n, span)
		if err != nil {
			return err
		}
		each := used / time.Duration(max(renewals, 1))
		row(out, n, renewals, each.Round(10*time.Nanosecond), fmt.Sprintf("%.1f %%", 100*each.Seconds()*1e6/400))
	}
	return ctx.Err()
}

// renewals lets a Manager renew rooms for a span, and returns the number of renewals
// and their processor time.
func renewals(ctx context.Context, rooms int, span time.Duration) (n int64, used time.Duration, err error) {
	each := time.Duration(rooms) * time.Second / renewalsPerSecond // between two renewals of a room
	source := steadySource{lifetime: time.Duration(float64(each) / renewedAt)}
	m, err := roomtoken.NewManager(source, roomtoken.Config{MaxRooms: -1})
	if err != nil {
		return 0, 0, err
	}
	defer m.Close()
	if err := m.Warm(ctx, roomid.New(rooms)...); err != nil {
		return 0, 0, err
	}
	before, began := m.Stats(), cpu.Time()
	select {
	case <-time.After(span):
	case <-ctx.Done():
	}
	used, after := cpu.Time()-began, m.Stats()
	if failed := after.RefreshFailures + after.CreateFailures; failed > 0 {
		return 0, 0, fmt.Errorf("%d calls failed", failed)
	}
	return int64(after.Refreshes - before.Refreshes), used, nil
}
