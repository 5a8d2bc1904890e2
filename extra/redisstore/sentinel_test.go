package redisstore_test

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/roomtoken/roomtoken"
)

// startSentinel starts a sentinel that watches a master, and returns its address.
func startSentinel(t *testing.T, master string) string {
	t.Helper()
	host, port, err := net.SplitHostPort(master)
	must(t, err)
	config := filepath.Join(t.TempDir(), "sentinel.conf") // it writes to it
	must(t, os.WriteFile(config, fmt.Appendf(nil, "sentinel monitor fleet %s %s 1\n", host, port), 0o600))
	return ownServer(t, config, "--sentinel")
}

// After a failover by Sentinel a store goes on with the new master, also with its inbox.
func TestSentinelFailover(t *testing.T) {
	servers := []string{ownServer(t, "--repl-diskless-sync-delay", "0"), ownServer(t, "--repl-diskless-sync-delay", "0")}
	master := newClient(t, servers[0])
	host, port, err := net.SplitHostPort(servers[0])
	must(t, err)
	must(t, newClient(t, servers[1]).ReplicaOf(t.Context(), host, port).Err())
	eventually(t, "the replica has the data", func() bool {
		return strings.Contains(master.Info(t.Context(), "replication").Val(), "state=online")
	})
	watcher := startSentinel(t, servers[0])
	sentinel := redis.NewSentinelClient(&redis.Options{Addr: watcher})
	defer sentinel.Close()
	eventually(t, "the sentinel knows the replica", func() bool {
		replicas, err := sentinel.Replicas(t.Context(), "fleet").Result()
		return err == nil && len(replicas) == 1 && strings.Contains(fmt.Sprint(replicas[0]), "master-link-status:ok")
	})

	client := redis.NewFailoverClient(&redis.FailoverOptions{
		MasterName: "fleet", SentinelAddrs: []string{watcher}, ContextTimeoutEnabled: true,
	})
	defer client.Close()
	f := fleetOn(t, client)
	f.Hurry(200*time.Millisecond, 200*time.Millisecond)
	w := f.wake()
	w.wait("")
	f.publish("room", "one")
	next := newClient(t, servers[1])
	eventually(t, "the replica has the record", func() bool {
		return next.Exists(t.Context(), f.key("room")).Val() == 1
	})

	must(t, sentinel.Failover(t.Context(), "fleet").Err())
	eventually(t, "there is another master", func() bool {
		addr, err := sentinel.GetMasterAddrByName(t.Context(), "fleet").Result()
		return err == nil && net.JoinHostPort(addr[0], addr[1]) == servers[1]
	})
	// The former master may give leases, and deliver messages, until it hears of that.
	eventually(t, "a lease of the new master, and a wake after it", func() bool {
		a := ask(fmt.Sprint("new ", asks.Load()))
		e, err := f.Acquire(t.Context(), a)
		if err != nil || e.Lease.IsZero() || next.Exists(t.Context(), f.key(a.RoomID)).Val() == 0 {
			return false
		}
		f.acquire(waitingAsk(a.RoomID))
		f.commit(e.Lease, roomtoken.Result{Record: record(e.Lease, "two")})
		r, woken := w.within(100*time.Millisecond, a.RoomID)
		return woken && !r.IsZero()
	})
	if e := f.acquire(ask("room")); what(e) != "record one" {
		t.Errorf("what the former master had: %s", what(e))
	}
}
