package recover

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/roomtoken/roomtoken"
)

// startManager is roomtoken with the default Config: a watch for each room.
func startManager(ctx context.Context, src *source, rooms []string) (finish func() int) {
	m, err := roomtoken.NewManager(managerSource{src}, roomtoken.Config{})
	if err != nil {
		panic(err) // the default Config is valid
	}
	var watches sync.WaitGroup
	for _, room := range rooms {
		watches.Go(func() {
			for range m.Watch(ctx, room) {
				continue
			}
		})
	}
	return func() (served int) {
		for _, room := range rooms {
			if _, ok := m.Cached(room); ok {
				served++
			}
		}
		watches.Wait()
		_ = m.Close()
		return served
	}
}

// managerSource is a source for roomtoken.
type managerSource struct{ *source }

func (s managerSource) Create(ctx context.Context, room string) (roomtoken.Grant, error) {
	err := s.call(ctx, room)
	if errors.Is(err, errLimited) {
		err = roomtoken.RetryAfter(fmt.Errorf("%w: %w", roomtoken.ErrRateLimited, err), retryAfter)
	}
	if err != nil {
		return roomtoken.Grant{}, err
	}
	return roomtoken.Grant{Token: roomtoken.Token{
		Value: roomtoken.NewSecret("token of " + room), ExpiresAt: time.Now().Add(time.Hour),
	}}, nil
}

func (s managerSource) Refresh(ctx context.Context, room string, _ roomtoken.Token) (roomtoken.Grant, error) {
	return s.Create(ctx, room)
}
