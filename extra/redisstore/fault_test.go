package redisstore_test

import (
	"context"
	"net"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/roomtoken/roomtoken"
)

// A server that takes no writes still says what it has, and that it gives no lease.
func TestServerThatTakesNoWrites(t *testing.T) {
	for name, test := range map[string]struct {
		refuse, accept []any
		want           string
		removes        bool // it removes all the same
	}{
		"out of memory":      {[]any{"CONFIG", "SET", "maxmemory", "1"}, []any{"CONFIG", "SET", "maxmemory", "0"}, "OOM", true},
		"read-only":          {[]any{"REPLICAOF", "127.0.0.1", "1"}, []any{"REPLICAOF", "NO", "ONE"}, "READONLY", false},
		"without replicas":   {[]any{"CONFIG", "SET", "min-replicas-to-write", "1"}, []any{"CONFIG", "SET", "min-replicas-to-write", "0"}, "NOREPLICAS", false},
		"without its script": {[]any{"CONFIG", "SET", "maxmemory", "1"}, []any{"CONFIG", "SET", "maxmemory", "0"}, "OOM", true},
	} {
		t.Run(name, func(t *testing.T) {
			f := fleetOn(t, newClient(t, ownServer(t)))
			f.publish("there", "one")
			f.fail("failing", time.Minute, roomtoken.Failure{Kind: roomtoken.FailureTransient})
			held := f.lease(ask("held"))
			lost := f.lease(ask("lost"))
			must(t, f.client.HDel(t.Context(), f.key("lost"), "lease", "expiry", "since", "base").Err())
			must(t, f.Reject(t.Context(), rejection("refused", "one")))
			must(t, f.Hold(t.Context(), time.Minute, roomtoken.Failure{}))
			quiet := fleetOn(t, f.client) // nothing has happened in it
			must(t, f.client.Do(t.Context(), test.refuse...).Err())
			if name == "without its script" {
				must(t, f.client.ScriptFlush(t.Context()).Err())
			}

			if e := f.acquire(ask("there")); what(e) != "record one" {
				t.Errorf("Acquire of a room that is there: %s", what(e))
			}
			if e := f.load("there"); what(e) != "record one" {
				t.Errorf("Load: %s", what(e))
			}
			if e := f.acquire(ask("failing")); what(e) != "failure" {
				t.Errorf("of a room that fails: %s", what(e))
			}
			if e := f.acquire(ask("held")); what(e) != "busy" {
				t.Errorf("of a room with a lease: %s", what(e))
			}
			e := f.acquire(ask("new"))
			if what(e) != "degraded" || !strings.HasPrefix(e.Degraded.Error(), "redisstore: "+test.want+" ") {
				t.Errorf("of a new room: %s, %v", what(e), e.Degraded)
			}
			if n := f.news(""); rooms(n.Rejections) != "refused" || n.Hold.Wait != time.Minute {
				t.Errorf("News: %+v", n)
			}
			for _, cursor := range []string{"", "1-1"} { // that of a log that is gone is missed once
				for i := range 3 {
					n := quiet.news(cursor)
					if n.Missed != (i == 0 && cursor != "") || len(n.Rejections) != 0 {
						t.Errorf("News without a log: %+v", n)
					}
					cursor = n.Cursor
				}
			}
			if err := f.Hold(t.Context(), time.Hour, roomtoken.Failure{}); err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("Hold: %v", err)
			}
			calls := commands{key: f.log()}
			f.client.AddHook(&calls)
			for name, err := range map[string]error{
				"Commit": second(f.Commit(t.Context(), lost, roomtoken.Result{Record: record(lost, "two")})),
				"Reject": f.Reject(t.Context(), rejection("there", "one")),
			} {
				if err == nil || !strings.Contains(err.Error(), test.want) {
					t.Errorf("%s: %v", name, err)
				}
			}
			if told := calls.keys.Load() > 0; told != test.removes {
				t.Errorf("the news were told of what the room was not: %v", told)
			}
			want := "record one"
			if test.removes {
				want = "nothing"
			}
			// Who has removed something, as the lease here, may add something.
			if c, err := f.Commit(t.Context(), held, roomtoken.Result{Record: record(held, "two")}); c.Taken != test.removes {
				t.Errorf("Commit with the lease: %+v, %v", c, err)
			}
			if e := f.load("there"); what(e) != want {
				t.Errorf("after Reject: %s, want %s", what(e), want)
			}
			refused := ask("there")
			refused.Refused = rejection("there", "one")
			if e := f.acquire(refused); what(e) != "degraded" {
				t.Errorf("asked for with the refused token: %s", what(e))
			}

			must(t, f.client.Do(t.Context(), test.accept...).Err())
			if e := f.acquire(ask("new")); what(e) != "lease" {
				t.Errorf("afterwards: %s", what(e))
			}
			for _, l := range []roomtoken.Lease{held, lost} {
				if c := f.commit(l, roomtoken.Result{Record: record(l, "two")}); !c.Taken {
					t.Errorf("the commit told again for %s: %+v", l.RoomID, c)
				}
			}
		})
	}
}

func second[T any](_ T, err error) error { return err }

// A connection to a server that has become read-only is left, since the name may lead to
// another server now.
func TestConnectionsToAFormerMasterAreLeft(t *testing.T) {
	former, master := ownServer(t), ownServer(t)
	var addr atomic.Value
	addr.Store(former)
	f := fleetOn(t, newClient(t, "name:6379", func(o *redis.Options) {
		o.Dialer = func(ctx context.Context, network, _ string) (net.Conn, error) {
			return (&net.Dialer{}).DialContext(ctx, network, addr.Load().(string))
		}
	}))
	f.lease(ask("room"))
	must(t, f.client.Do(t.Context(), "REPLICAOF", "127.0.0.1", "1").Err())
	addr.Store(master)
	if e := f.acquire(ask("new")); what(e) != "lease" {
		t.Errorf("%s, %v", what(e), e.Degraded)
	}
	if n := newClient(t, master).DBSize(t.Context()).Val(); n != 1 {
		t.Errorf("the new master has %d keys, want the lease", n)
	}
}

func TestServerIsDown(t *testing.T) {
	f := fleetOn(t, newClient(t, "127.0.0.1:1", func(o *redis.Options) { o.MaxRetries = -1; o.DialerRetries = 1 }))
	for name, err := range map[string]error{
		"Acquire": second(f.Acquire(t.Context(), ask("room"))),
		"Commit":  second(f.Commit(t.Context(), roomtoken.Lease{RoomID: "room", ID: "x"}, roomtoken.Result{})),
		"Load":    second(f.Load(t.Context(), []string{"a", "b"})),
		"Reject":  f.Reject(t.Context(), rejection("room", "one")),
		"Hold":    f.Hold(t.Context(), time.Minute, roomtoken.Failure{}),
		"News":    second(f.News(t.Context(), "")),
	} {
		if err == nil || !strings.HasPrefix(err.Error(), "redisstore: ") || !strings.Contains(err.Error(), "127.0.0.1:1") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// Users of Redis 7 have no channels by default: all but the messages works.
func TestUserWithoutChannels(t *testing.T) {
	addr := ownServer(t)
	admin := newClient(t, addr)
	f := fleetOn(t, newClient(t, addr, func(o *redis.Options) { o.Username, o.Password = "app", "secret" }))
	user := func(more ...any) {
		t.Helper()
		args := append([]any{"ACL", "SETUSER", "app", "reset"}, rules(t, aclPage, f.prefix)...)
		must(t, admin.Do(t.Context(), append(args, more...)...).Err())
	}
	user("resetchannels")
	f.publish("room", "one")
	l := f.lease(ask("other"))
	must(t, admin.HSet(t.Context(), f.key("other"), "boxes", "0123456789abcdef").Err())
	if c := f.commit(l, roomtoken.Result{Record: record(l, "two")}); !c.Taken {
		t.Errorf("%+v", c)
	}
	if e := f.load("other"); what(e) != "record two" {
		t.Errorf("%s", what(e))
	}
	must(t, f.Reject(t.Context(), rejection("room", "one")))
	must(t, f.Hold(t.Context(), time.Minute, roomtoken.Failure{}))
	f.news("")

	if err := f.Wake(t.Context(), func(string, roomtoken.Record) { t.Error("woken") }); !redis.HasErrorPrefix(err, "NOPERM") {
		t.Errorf("Wake: %v", err)
	}
	user("-publish")
	if err := f.Wake(t.Context(), func(string, roomtoken.Record) { t.Error("woken") }); !redis.HasErrorPrefix(err, "NOPERM") {
		t.Errorf("Wake without publish: %v", err)
	}
	user()
	ctx, cancel := context.WithCancel(t.Context())
	if err := f.Wake(ctx, func(string, roomtoken.Record) { cancel() }); ctx.Err() == nil {
		t.Errorf("Wake with its channels: %v", err)
	}

	user("-@hash")
	for name, err := range map[string]error{
		"Acquire": second(f.Acquire(t.Context(), ask("room"))),
		"Load":    second(f.Load(t.Context(), []string{"room"})),
		"News":    second(f.News(t.Context(), "")),
	} {
		if err == nil || !strings.Contains(err.Error(), "can't run") {
			t.Errorf("%s without hashes: %v", name, err)
		}
	}
}

func TestProtocolsAndPools(t *testing.T) {
	for name, change := range map[string]func(*redis.Options){
		"RESP2":       func(o *redis.Options) { o.Protocol = 2 },
		"RESP3":       func(o *redis.Options) { o.Protocol = 3 },
		"pool of one": func(o *redis.Options) { o.PoolSize = 1 },
	} {
		t.Run(name, func(t *testing.T) {
			f := fleetOn(t, newClient(t, shared, change))
			l := f.lease(ask("room"))
			w := f.wake()
			w.wait("")
			a := ask("room")
			a.Wait = true
			if e := f.acquire(a); what(e) != "busy" {
				t.Errorf("%s", what(e))
			}
			r := record(l, "one")
			f.commit(l, roomtoken.Result{Record: r})
			if got := w.wait("room"); !same(got, r) {
				t.Errorf("woken with %+v, want %+v", got, r)
			}
			if e := f.load("room"); what(e) != "record one" {
				t.Errorf("%s", what(e))
			}
			must(t, f.Reject(t.Context(), rejection("room", "one")))
			must(t, f.Hold(t.Context(), time.Minute, roomtoken.Failure{}))
			if n := f.news(""); rooms(n.Rejections) != "room" || n.Hold.Wait != time.Minute {
				t.Errorf("%+v", n)
			}
		})
	}
}
