package redisstore_test

import (
	"context"
	"fmt"
	"net"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/roomtoken/roomtoken"
	"github.com/roomtoken/roomtoken/extra/redisstore"
)

// Who can write to the server can cost calls, and nothing more.

func TestRejectOfManyForgedRecords(t *testing.T) {
	f := newFleet(t)
	f.publish("room", "token")
	forged := f.stored("room")
	pipe := f.client.Pipeline()
	for i := range 9000 {
		pipe.HSet(t.Context(), f.key("room"), fmt.Sprintf("recordX%d", i), forged)
	}
	_, err := pipe.Exec(t.Context())
	must(t, err)
	rejection := roomtoken.Rejection{RoomID: "room", Token: roomtoken.NewSecret("token").Digest(), Left: time.Minute, Refusals: 1}
	must(t, f.Reject(t.Context(), rejection))
	if e := f.load("room"); !e.Record.IsZero() {
		t.Error("the refused token is still there")
	}
	if news := f.news(""); len(news.Rejections) != 1 {
		t.Errorf("the news has %d rejections", len(news.Rejections))
	}
}

func TestLogWithAnIDThatCannotBe(t *testing.T) {
	for _, id := range []string{"18446744073709551615-18446744073709551615", "9007199254740993-1", "9007199254740000-1"} {
		t.Run(id, func(t *testing.T) {
			f := newFleet(t)
			cursor := f.news("").Cursor
			must(t, f.client.XAdd(t.Context(), &redis.XAddArgs{Stream: f.prefix + "news", ID: id, Values: []string{"a", "b"}}).Err())
			cursor = f.news(cursor).Cursor
			must(t, f.Reject(t.Context(), roomtoken.Rejection{RoomID: "room", Token: roomtoken.NewSecret("x").Digest(), Left: time.Minute}))
			news := f.news(cursor)
			if len(news.Rejections) != 1 {
				t.Errorf("the news has %d rejections, want one", len(news.Rejections))
			}
			for range 3 {
				if news = f.news(news.Cursor); news.Missed {
					t.Fatal("news is missed again and again")
				}
			}
		})
	}
}

func TestHoldThatIsNone(t *testing.T) {
	f := newFleet(t)
	failure := roomtoken.Failure{Kind: roomtoken.FailureRateLimited, Count: 1, Text: "slow down"}
	must(t, f.Hold(t.Context(), time.Second, failure))
	must(t, f.client.HSet(t.Context(), "{"+f.prefix+"news}hold", "until", time.Now().Add(20*time.Hour).UnixMicro(), "wait", "1").Err())
	must(t, f.Hold(t.Context(), time.Hour, failure))
	if hold := f.news("").Hold; hold.Wait != time.Hour {
		t.Errorf("hold of %v, want the real one of an hour", hold.Wait)
	}
}

// While keys are replaced a record under the old one must not come back when the newer one
// is refused.
func TestRejectBetweenTwoKeys(t *testing.T) {
	f := newFleet(t)
	before := f.with(redisstore.Config{EncryptionKeys: [][]byte{testKey(1), testKey(2)}})
	after := f.with(redisstore.Config{EncryptionKeys: [][]byte{testKey(2), testKey(1)}})
	first := before.publish("room", "first")
	a := ask("room")
	a.Newer = first.Version
	lease := after.lease(a)
	second := record(lease, "second")
	if !after.commit(lease, roomtoken.Result{Record: second}).Taken {
		t.Fatal("not taken")
	}
	must(t, after.Reject(t.Context(), roomtoken.Rejection{RoomID: "room", Token: second.Token.Digest(), Left: time.Hour, Refusals: 3}))
	if e := before.acquire(ask("room")); e.Lease.IsZero() || e.Refusals != 3 {
		t.Errorf("got %s with %d refusals, want the lease with 3", what(e), e.Refusals)
	}
}

// A server that hangs does not keep Wake.
func TestWakeLeavesAServerThatHangs(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0") // it takes connections, and says nothing
	must(t, err)
	defer listener.Close()
	for _, enabled := range []bool{true, false} {
		f := fleetOn(t, newClient(t, listener.Addr().String(), func(o *redis.Options) { o.ContextTimeoutEnabled = enabled }))
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error)
		go func() { done <- f.Wake(ctx, func(string, roomtoken.Record) {}) }()
		time.Sleep(200 * time.Millisecond)
		cancel()
		select {
		case <-done:
		case <-time.After(2 * time.Second):
			t.Errorf("ContextTimeoutEnabled %v: Wake has not returned 2 s after the end of its ctx", enabled)
			<-done
		}
	}
}
