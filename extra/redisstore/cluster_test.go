package redisstore_test

import (
	"context"
	"fmt"
	"net"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/roomtoken/roomtoken"
)

// newCluster starts a cluster of three nodes and returns a client.
func newCluster(t *testing.T) *redis.ClusterClient {
	t.Helper()
	const slots = 16384
	var nodes []*redis.Client
	var addrs []string
	var ports []int // of the cluster bus
	for range 3 {
		port, err := freePort()
		must(t, err)
		ports = append(ports, port)
		addr := ownServer(t, "--cluster-enabled", "yes", "--cluster-port", fmt.Sprint(port))
		addrs = append(addrs, addr)
		nodes = append(nodes, newClient(t, addr))
	}
	for i, node := range nodes {
		must(t, node.ClusterAddSlotsRange(t.Context(), slots*i/3, slots*(i+1)/3-1).Err())
	}
	client := redis.NewClusterClient(&redis.ClusterOptions{Addrs: addrs, ContextTimeoutEnabled: true})
	t.Cleanup(func() { _ = client.Close() })
	for i := 1; i < 3; i++ {
		host, port, _ := net.SplitHostPort(addrs[i])
		must(t, nodes[0].Do(t.Context(), "CLUSTER", "MEET", host, port, ports[i]).Err())
	}
	for _, node := range nodes {
		eventually(t, "the cluster", func() bool {
			info, err := node.ClusterInfo(t.Context()).Result()
			return err == nil && strings.Contains(info, "cluster_state:ok") && strings.Contains(info, "cluster_known_nodes:3")
		})
	}
	return client
}

// In a cluster rooms are spread over all nodes, and each command is for one of them.
func TestCluster(t *testing.T) {
	admin := newCluster(t)
	client := redis.NewClusterClient(&redis.ClusterOptions{
		Addrs: admin.Options().Addrs, Username: "app", Password: "secret", ContextTimeoutEnabled: true,
	})
	defer client.Close()
	f := fleetOn(t, client)
	must(t, admin.ForEachMaster(t.Context(), func(ctx context.Context, node *redis.Client) error {
		return node.Do(ctx, append([]any{"ACL", "SETUSER", "app"}, rules(t, aclPage, f.prefix)...)...).Err()
	}))
	w := f.wake()
	w.wait("")
	lost := 0
	var ids []string
	for i := range 200 {
		ids = append(ids, fmt.Sprintf("{same}%d", i))
	}
	for _, id := range ids {
		l := f.lease(ask(id))
		if e := f.acquire(waitingAsk(id)); what(e) != "busy" {
			t.Fatalf("%s: %s", id, what(e))
		}
		r := record(l, "token of "+id)
		f.commit(l, roomtoken.Result{Record: r})
		switch got, ok := w.within(2*time.Second, id); {
		case !ok: // the nodes of a new cluster may not have met
			lost++
		case !same(got, r):
			t.Errorf("woken with %+v", got)
		}
	}
	if lost > len(ids)/20 {
		t.Errorf("%d of %d wakes were lost", lost, len(ids))
	}
	var nodes atomic.Int64
	must(t, admin.ForEachMaster(t.Context(), func(ctx context.Context, node *redis.Client) error {
		if n := node.DBSize(ctx).Val(); n < 20 {
			t.Errorf("%s has %d of 200 rooms", node.Options().Addr, n)
		}
		nodes.Add(1)
		return node.ScriptFlush(ctx).Err()
	}))
	for range 2 { // first without the script
		entries, err := f.Load(t.Context(), ids)
		must(t, err)
		for i, e := range entries {
			if what(e) != "record token of "+ids[i] {
				t.Errorf("room %s: loaded %s", ids[i], what(e))
			}
		}
	}
	must(t, f.Hold(t.Context(), time.Minute, roomtoken.Failure{}))
	for _, id := range ids[:20] {
		must(t, f.Reject(t.Context(), rejection(id, "token of "+id)))
		if e := f.acquire(ask(id)); what(e) != "lease" {
			t.Errorf("%s: %s", id, what(e))
		}
	}
	if n := f.news(""); len(n.Rejections) != 20 || n.Hold.Wait != time.Minute {
		t.Errorf("%d rejections, %+v", len(n.Rejections), n.Hold)
	}
	if n := nodes.Load(); n != 3 {
		t.Errorf("%d nodes", n)
	}
}
