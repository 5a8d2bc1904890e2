package redisstore_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/roomtoken/roomtoken"
)

// log returns the key of the log of rejections.
func (f fleet) log() string { return f.prefix + "news" }

// hold returns the key of the hold.
func (f fleet) hold() string { return "{" + f.log() + "}hold" }

// rooms returns the rooms of some rejections.
func rooms(rejections []roomtoken.Rejection) string {
	var ids []string
	for _, r := range rejections {
		ids = append(ids, r.RoomID)
	}
	return strings.Join(ids, " ")
}

func TestNewsHasRejectionsSinceTheCursor(t *testing.T) {
	f := newFleet(t)
	quiet := f.news("")
	if quiet.Cursor == "" || len(quiet.Rejections) != 0 || quiet.Missed || quiet.Hold != (roomtoken.Hold{}) {
		t.Errorf("nothing has happened: %+v", quiet)
	}
	told := rejection("a", "one")
	told.Refusals = 7
	must(t, f.Reject(t.Context(), told))
	must(t, f.Reject(t.Context(), rejection("b", "one")))
	n := f.news(quiet.Cursor)
	if rooms(n.Rejections) != "a b" || n.Missed {
		t.Fatalf("%+v", n)
	}
	if r := n.Rejections[0]; r.Token != told.Token || r.Refusals != 7 || !near(r.Left, time.Hour) {
		t.Errorf("told %+v, read %+v", told, r)
	}
	if again := f.news(n.Cursor); len(again.Rejections) != 0 || again.Missed {
		t.Errorf("nothing new: %+v", again)
	}
	must(t, f.Reject(t.Context(), rejection("c", "one")))
	if n := f.news(n.Cursor); rooms(n.Rejections) != "c" || n.Missed {
		t.Errorf("since the second: %+v", n)
	}
	if n := f.news(""); rooms(n.Rejections) != "a b c" || n.Missed {
		t.Errorf("all: %+v", n)
	}
}

func TestNewsLeavesOutTokensThatHaveEnded(t *testing.T) {
	f := newFleet(t)
	r := rejection("a", "one")
	r.Left = 0
	must(t, f.Reject(t.Context(), r))
	must(t, f.Reject(t.Context(), rejection("b", "one")))
	if n := f.news(""); rooms(n.Rejections) != "b" {
		t.Errorf("%+v", n)
	}
}

func TestNewsSaysWhatWasMissed(t *testing.T) {
	f := newFleet(t)
	quiet := f.news("").Cursor
	must(t, f.Reject(t.Context(), rejection("a", "one")))
	read := f.news(quiet).Cursor
	for _, cursor := range []string{
		"nonsense", "1-1", "-", "1-1/x", "99999999999999999999-1", read + "0", read + "x", strings.Repeat("1", 40) + "-1",
		fmt.Sprintf("%d-0", time.Now().Add(time.Minute).UnixMilli()),
	} {
		n := f.news(cursor)
		if !n.Missed || rooms(n.Rejections) != "a" {
			t.Errorf("cursor %q: %+v", cursor, n)
		}
		if n := f.news(n.Cursor); n.Missed || len(n.Rejections) != 0 {
			t.Errorf("after cursor %q: %+v", cursor, n)
		}
	}

	// The server has lost its data, and gets new ones.
	must(t, f.client.Del(t.Context(), f.log()).Err())
	must(t, f.Reject(t.Context(), rejection("b", "one")))
	for _, cursor := range []string{quiet, read} {
		if n := f.news(cursor); !n.Missed || rooms(n.Rejections) != "b" {
			t.Errorf("the log was lost: %+v", n)
		}
	}
	if n := f.news(""); n.Missed || rooms(n.Rejections) != "b" {
		t.Errorf("from the beginning: %+v", n)
	}
}

// While nothing happens, readers keep the log, and a cursor stays good.
func TestQuietLog(t *testing.T) {
	f := newFleet(t)
	entry := func(age time.Duration) string {
		t.Helper()
		id := fmt.Sprintf("%d-0", time.Now().Add(-age).UnixMilli())
		must(t, f.client.XAdd(t.Context(), &redis.XAddArgs{Stream: f.log(), ID: id, Values: []any{"beat", ""}}).Err())
		return id
	}
	old, last := entry(11*time.Minute), entry(4*time.Minute)
	if n := f.news(last); n.Missed || n.Cursor != last {
		t.Errorf("after 4 minutes: %+v", n)
	}
	must(t, f.client.Del(t.Context(), f.log()).Err())
	entry(11 * time.Minute)
	last = entry(6 * time.Minute)
	n := f.news(last)
	if n.Missed || len(n.Rejections) != 0 || n.Cursor == last {
		t.Errorf("after 6 minutes: %+v", n)
	}
	if again := f.news(last); again.Missed || again.Cursor != n.Cursor {
		t.Errorf("of another reader: %+v, want cursor %s", again, n.Cursor)
	}
	if n := f.news(old); !n.Missed {
		t.Errorf("of a reader who was away: %+v", n)
	}
	if n := f.client.XLen(t.Context(), f.log()).Val(); n != 2 {
		t.Errorf("%d entries, want the last two", n)
	}
	if ttl := f.client.PTTL(t.Context(), f.log()).Val(); !near(ttl, 10*time.Minute) {
		t.Errorf("the log ends in %v", ttl)
	}
}

func TestLogIsBounded(t *testing.T) {
	f := newFleet(t)
	before := f.news("").Cursor
	pipeline := f.client.Pipeline()
	for i := range 10_500 {
		pipeline.XAdd(t.Context(), &redis.XAddArgs{Stream: f.log(), Values: []any{
			"room", fmt.Sprint(i), "token", "0123456789abcdef", "ends", fmt.Sprint(time.Now().Add(time.Hour).UnixMicro()), "row", "0",
		}})
	}
	_, err := pipeline.Exec(t.Context())
	must(t, err)
	must(t, f.Reject(t.Context(), rejection("last", "one")))
	if n := f.client.XLen(t.Context(), f.log()).Val(); n != 10_000 {
		t.Errorf("the log has %d entries", n)
	}
	n := f.news(before)
	if !n.Missed || len(n.Rejections) != 10_000 || n.Rejections[len(n.Rejections)-1].RoomID != "last" {
		t.Errorf("missed: %v, %d rejections", n.Missed, len(n.Rejections))
	}
	if ttl := f.client.PTTL(t.Context(), f.log()).Val(); !near(ttl, 10*time.Minute) {
		t.Errorf("the log ends in %v", ttl)
	}
}

func TestHold(t *testing.T) {
	f := newFleet(t)
	failure := roomtoken.Failure{Kind: roomtoken.FailureRateLimited, Count: 2, Text: "429"}
	must(t, f.Hold(t.Context(), 0, roomtoken.Failure{}))
	if h := f.news("").Hold; h != (roomtoken.Hold{}) {
		t.Errorf("an answer without a hold: %+v", h)
	}
	must(t, f.Hold(t.Context(), time.Minute, failure))
	first := f.news("").Hold
	if first.ID == "" || first.Wait != time.Minute || !near(first.Left, time.Minute) || first.Over || first.Failure != failure {
		t.Errorf("%+v", first)
	}
	must(t, f.Hold(t.Context(), time.Second, roomtoken.Failure{}))
	must(t, f.Hold(t.Context(), 0, roomtoken.Failure{}))
	must(t, f.Hold(t.Context(), 24*time.Hour+time.Second, failure))
	if h := f.news("").Hold; h.ID != first.ID || h.Wait != first.Wait || h.Over || h.Failure != failure {
		t.Errorf("a shorter one, an answer before its end, and one of more than a day: %+v", h)
	}
	must(t, f.Hold(t.Context(), time.Hour, roomtoken.Failure{Kind: roomtoken.FailureRateLimited}))
	if h := f.news("").Hold; h.ID == first.ID || h.Wait != time.Hour || !near(h.Left, time.Hour) {
		t.Errorf("made longer: %+v", h)
	}
}

func TestHoldPasses(t *testing.T) {
	f := newFleet(t)
	must(t, f.Hold(t.Context(), 20*time.Millisecond, roomtoken.Failure{Kind: roomtoken.FailureRateLimited}))
	id := f.news("").Hold.ID
	for f.news("").Hold.Left > 0 {
		time.Sleep(5 * time.Millisecond)
	}
	if h := f.news("").Hold; h.ID != id || h.Over {
		t.Errorf("its time has passed: %+v", h)
	}
	for range 2 {
		must(t, f.Hold(t.Context(), 0, roomtoken.Failure{}))
		if h := f.news("").Hold; h.ID != id || !h.Over || h.Wait != 20*time.Millisecond {
			t.Errorf("a call was answered: %+v", h)
		}
	}
	must(t, f.Hold(t.Context(), time.Minute, roomtoken.Failure{Kind: roomtoken.FailureRateLimited}))
	if h := f.news("").Hold; h.ID == id || h.Over || !near(h.Left, time.Minute) {
		t.Errorf("the next one: %+v", h)
	}
}
