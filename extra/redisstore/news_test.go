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

// at returns the cursor of an entry that a process read at that time.
func at(entry string, read time.Time) string { return fmt.Sprintf("%s/%d", entry, read.UnixMilli()) }

func TestNewsSaysWhatWasMissed(t *testing.T) {
	f := newFleet(t)
	must(t, f.Reject(t.Context(), rejection("a", "one")))
	read := f.news("").Cursor
	now := time.Now()
	old := fmt.Sprintf("%d-0", now.Add(-11*time.Minute).UnixMilli())

	for _, cursor := range []string{"nonsense", "1-1", "1-1/x", "9-9/99999999999999999999", read + "x"} {
		if n := f.news(cursor); !n.Missed || rooms(n.Rejections) != "a" {
			t.Errorf("cursor %q: %+v", cursor, n)
		}
	}
	if n := f.news(at(fmt.Sprintf("%d-7", now.UnixMilli()-5), now)); !n.Missed || rooms(n.Rejections) != "a" {
		t.Errorf("an entry that ought to be there: %+v", n)
	}
	if n := f.news(at(fmt.Sprintf("%d-7", now.UnixMilli()+60_000), now)); !n.Missed || rooms(n.Rejections) != "a" {
		t.Errorf("an entry of a server that lost it: %+v", n)
	}
	if n := f.news(at(old, now)); n.Missed || rooms(n.Rejections) != "a" {
		t.Errorf("an entry that had its time: %+v", n)
	}
	if n := f.news(at(old, now.Add(-11*time.Minute))); !n.Missed || rooms(n.Rejections) != "a" {
		t.Errorf("the reader was away: %+v", n)
	}
	if n := f.news(at(old, now.Add(time.Hour))); !n.Missed {
		t.Errorf("the reader comes from the future: %+v", n)
	}

	must(t, f.client.Del(t.Context(), f.log()).Err())
	if n := f.news(read); !n.Missed || len(n.Rejections) != 0 {
		t.Errorf("the log is gone too early: %+v", n)
	}
	if n := f.news(at(old, now)); n.Missed || !strings.HasPrefix(n.Cursor, old+"/") {
		t.Errorf("the log has ended: %+v", n)
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
	if n := f.client.XLen(t.Context(), f.log()).Val(); n < 10_000 || n > 10_100 {
		t.Errorf("the log has %d entries", n)
	}
	n := f.news(before)
	if !n.Missed || len(n.Rejections) < 10_000 || n.Rejections[len(n.Rejections)-1].RoomID != "last" {
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
