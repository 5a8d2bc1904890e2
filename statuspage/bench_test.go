package statuspage

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/roomtoken/roomtoken"
)

// instantSource mints tokens without latency.
type instantSource struct{}

func (instantSource) Create(_ context.Context, roomID string) (roomtoken.Grant, error) {
	return roomtoken.Grant{Token: roomtoken.Token{Value: roomtoken.NewSecret("token of " + roomID), ExpiresAt: time.Now().Add(24 * time.Hour)}}, nil
}

func (s instantSource) Refresh(ctx context.Context, roomID string, _ roomtoken.Token) (roomtoken.Grant, error) {
	return s.Create(ctx, roomID)
}

// BenchmarkPage has 100,000 rooms and an hour of history: what one look costs, and how
// many bytes it brings. It must stay below 100 ms, 200,000 bytes and 16 MiB allocated.
func BenchmarkPage(b *testing.B) {
	const rooms = 100_000
	manager, err := roomtoken.NewManager(instantSource{}, roomtoken.Config{})
	if err != nil {
		b.Fatal(err)
	}
	defer manager.Close()
	ids := make([]string, rooms)
	for i := range ids {
		ids[i] = fmt.Sprintf("%08x-4df3-4bca-a65a-%012x", uint32(i)*2654435761, i)
	}
	if err := manager.Warm(b.Context(), ids...); err != nil {
		b.Fatal(err)
	}
	page, err := New(manager, Config{Authorize: Anyone, Every: maxEvery})
	if err != nil {
		b.Fatal(err)
	}
	defer page.Close()
	var stats roomtoken.Stats
	for i := range uint64(maxSamples) {
		stats.Rooms = rooms
		stats.States[roomtoken.RoomValid], stats.States[roomtoken.RoomFailing] = rooms-int(i), int(i)
		stats.Creates, stats.Refreshes, stats.Misses = stats.Creates+i, stats.Refreshes+i*i%1000, stats.Misses+i%7
		stats.CreateTimes.Count, stats.CreateTimes.Buckets[i%18] = stats.CreateTimes.Count+1, stats.CreateTimes.Buckets[i%18]+1
		page.history.add(noon.Add(time.Duration(i)*10*time.Second), stats)
	}
	for _, bench := range []struct{ name, params string }{
		{"html", "format=html"},
		{"json", "format=json"},
		{"text", "format=text"},
		{"html/largest-page", "format=html&per=1000"},
		{"json/last-page", "format=json&page=1000&sort=room"},
		{"json/search", "format=json&q=ABC"},
	} {
		b.Run(bench.name, func(b *testing.B) {
			b.ReportAllocs()
			size := 0
			for b.Loop() {
				answer := httptest.NewRecorder()
				page.ServeHTTP(answer, httptest.NewRequest(http.MethodGet, "/?"+bench.params, http.NoBody))
				if answer.Code != http.StatusOK {
					b.Fatal(answer.Code)
				}
				size = answer.Body.Len()
			}
			b.ReportMetric(float64(size), "bytes/page")
		})
	}
}
