package roomtoken_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/roomtoken/roomtoken"
)

// syncBuffer is a log that can be read while it is written.
type syncBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *syncBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

// lines returns the records so far and forgets them.
func (b *syncBuffer) lines(t *testing.T) (records []map[string]any) {
	t.Helper()
	b.mu.Lock()
	defer b.mu.Unlock()
	for line := range strings.Lines(b.b.String()) {
		var record map[string]any
		if err := json.Unmarshal([]byte(line), &record); err != nil {
			t.Fatal(err)
		}
		records = append(records, record)
	}
	b.b.Reset()
	return records
}

// An outage of a thousand rooms makes few lines, and none that matters is missing.
func TestLogOfAnOutage(t *testing.T) {
	var log syncBuffer
	config := roomtoken.Config{Logger: slog.New(slog.NewJSONHandler(&log, &slog.HandlerOptions{Level: slog.LevelWarn}))}
	inTown(t, config, func(tn *town) {
		tn.watch("r", 1000)
		time.Sleep(time.Minute)
		if lines := log.lines(t); len(lines) > 0 {
			t.Fatalf("a healthy source makes the lines %v", lines)
		}
		tn.on(func(ctx context.Context, _ string) error {
			_ = takes(ctx, 100*time.Millisecond)
			return errors.New("the source is down")
		})
		said := map[string]int{}
		for minute := range 30 {
			time.Sleep(time.Minute)
			lines := log.lines(t)
			if len(lines) > 20 {
				t.Fatalf("%d lines in minute %d of the outage, want 20 at most", len(lines), minute)
			}
			for _, line := range lines {
				said[line["msg"].(string)]++
				if room, ok := line["room"]; ok && line["msg"] == "roomtoken: calls held back" {
					t.Errorf("the line for all rooms names room %v", room)
				}
			}
		}
		for _, want := range []string{"call failed", "token lost", "calls held back", "more of the same"} {
			if said["roomtoken: "+want] == 0 {
				t.Errorf("no line %q in the outage: %v", want, said)
			}
		}
		tn.on(nil)
		time.Sleep(2 * time.Minute)
		back := map[string]any{}
		for _, line := range log.lines(t) {
			if line["msg"] == "roomtoken: source is back" {
				back = line
			}
		}
		if rooms, ok := back["rooms without a token"].(float64); !ok || rooms == 0 || back["duration"] == nil || back["room"] != nil {
			t.Errorf("the line of the recovery is %v, want it to have the duration and the rooms without a token", back)
		}
	})
}

// A room ID that does not exist may be anybody's typing error.
func TestLogOfAnUnknownRoom(t *testing.T) {
	var log syncBuffer
	config := roomtoken.Config{Logger: slog.New(slog.NewJSONHandler(&log, &slog.HandlerOptions{Level: slog.LevelInfo}))}
	inTown(t, config, func(tn *town) {
		tn.on(func(context.Context, string) error { return fmt.Errorf("%w: 404", roomtoken.ErrRoomNotFound) })
		for i := range 10 {
			if _, err := tn.m.Token(context.Background(), fmt.Sprint("junk", i)); !errors.Is(err, roomtoken.ErrRoomNotFound) {
				t.Fatal(err)
			}
		}
		time.Sleep(time.Minute)
		if lines := log.lines(t); len(lines) > 0 {
			t.Errorf("unknown rooms make the lines %v", lines)
		}
	})
}

// Of each line there are few in a minute, but the end of an outage is always told.
func TestLogTellsTheEndOfEveryOutage(t *testing.T) {
	var log strings.Builder
	observe := roomtoken.LogEvents(slog.New(slog.NewTextHandler(&log, nil)))
	for i := range int64(5) {
		for _, kind := range []roomtoken.EventKind{
			roomtoken.EventHeldBack, roomtoken.EventRecovered, roomtoken.EventStoreDown, roomtoken.EventStoreUp,
		} {
			observe(roomtoken.Event{Kind: kind, Time: time.Unix(1000+i, 0)})
		}
	}
	for line, want := range map[string]int{"calls held back": 2, "source is back": 5, "store is down": 2, "store is back": 5} {
		if got := strings.Count(log.String(), line); got != want {
			t.Errorf("%d lines %q, want %d:\n%s", got, line, want, log.String())
		}
	}
}

// What concerns the Store as a whole names no room. An adopted token says where it came
// from.
func TestLogOfAFleet(t *testing.T) {
	var log strings.Builder
	observe := roomtoken.LogEvents(slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{
		Level:       slog.LevelDebug,
		ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr { return without(a, slog.TimeKey) },
	})))
	for _, e := range []roomtoken.Event{
		{Kind: roomtoken.EventStoreDown, Err: errors.New("connection refused"), Until: time.Unix(5, 0).UTC()},
		{Kind: roomtoken.EventStoreUp, Duration: time.Minute},
		{Kind: roomtoken.EventLeaseLost, RoomID: "lobby", Fingerprint: "1a2b"},
		{Kind: roomtoken.EventRecordUnreadable, RoomID: "lobby", Err: errors.New("no key opens it")},
		{Kind: roomtoken.EventTokenPublished, RoomID: "lobby", Fingerprint: "3c4d", Reason: roomtoken.ReasonAdopted},
	} {
		observe(e)
	}
	const want = `level=WARN msg="roomtoken: store is down" err="connection refused" until=1970-01-01T00:00:05.000Z
level=WARN msg="roomtoken: store is back" duration=1m0s
level=WARN msg="roomtoken: lease lost" room=lobby token=1a2b
level=WARN msg="roomtoken: record unreadable" room=lobby err="no key opens it"
level=DEBUG msg="roomtoken: token published" room=lobby reason=adopted token=3c4d
`
	if got := log.String(); got != want {
		t.Errorf("the log is\n%s\nwant\n%s", got, want)
	}
}

// without leaves an attribute out if it has that key.
func without(a slog.Attr, key string) slog.Attr {
	if a.Key == key {
		return slog.Attr{}
	}
	return a
}
