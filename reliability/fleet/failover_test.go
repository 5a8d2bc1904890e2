package fleet_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
)

// A Sentinel replaces the master by a replica that lacks the last writes.
func TestAFailoverThatLosesWrites(t *testing.T) {
	t.Parallel()
	master := startRedis(t)
	host, port := hostPort(master.addr)
	replica := startRedis(t, "--replicaof", host+" "+port)
	conf := filepath.Join(t.TempDir(), "sentinel.conf") // a Sentinel writes to it
	text := fmt.Sprintf("sentinel monitor fleet %s %s 1\nsentinel down-after-milliseconds fleet 2000\n", host, port)
	if err := os.WriteFile(conf, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	sentinel := startServer(t, "redis-sentinel", conf)
	f := newFleet(t, lifetime, sentinel.addr)
	f.brief()
	f.settings.Master = "fleet"
	f.eventually("the Sentinel knows the replica", func() bool {
		replicas, err := redis.NewSentinelClient(&redis.Options{Addr: sentinel.addr}).Replicas(context.Background(), "fleet").Result()
		return err == nil && len(replicas) == 1 && replicas[0]["master-link-status"] == "ok"
	})
	f.outlive(func() {
		replica.do("REPLICAOF", "127.0.0.1", "1") // nobody is there: what is written now is lost
		before := f.issuer.renewed(0, rooms(warm)...)
		time.Sleep(outage / 2)
		if f.issuer.renewed(0, rooms(warm)...) == before {
			t.Error("no writes are lost")
		}
		master.kill()
		f.eventually("the replica is the master", func() bool {
			info, err := replica.Info(context.Background(), "replication").Result()
			return err == nil && strings.Contains(info, "role:master")
		})
	})
}

// cluster is three nodes with a third of the slots each.
type cluster []*server

const slots = 16384

func startCluster(t *testing.T) cluster {
	t.Helper()
	var nodes cluster
	var buses []int
	for i := range 3 {
		buses = append(buses, freePort(t))
		node := startRedis(t, "--cluster-enabled", "yes", "--cluster-node-timeout", "2000", "--cluster-port", fmt.Sprint(buses[i]))
		nodes = append(nodes, node)
		node.check(node.ClusterAddSlotsRange(context.Background(), slots*i/3, slots*(i+1)/3-1).Err())
	}
	for i, node := range nodes[1:] {
		host, port := hostPort(node.addr)
		nodes[0].do("CLUSTER", "MEET", host, port, buses[i+1])
	}
	nodes.await()
	return nodes
}

// await waits until all nodes serve all slots.
func (c cluster) await() {
	for _, node := range c {
		for deadline := time.Now().Add(patience); ; time.Sleep(20 * time.Millisecond) {
			info, err := node.ClusterInfo(context.Background()).Result()
			if err == nil && strings.Contains(info, "cluster_state:ok") && strings.Contains(info, "cluster_known_nodes:3") {
				break
			}
			if time.Now().After(deadline) {
				node.t.Fatalf("the cluster is not ready: %s %v", info, err)
			}
		}
	}
}

// newClusterFleet returns a fleet on a cluster.
func newClusterFleet(t *testing.T) (*fleet, cluster) {
	t.Helper()
	nodes := startCluster(t)
	f := newFleet(t, lifetime)
	f.settings.Cluster = true
	for _, node := range nodes {
		f.settings.Addrs = append(f.settings.Addrs, node.addr)
	}
	return f, nodes
}

// A node of a cluster is lost, which has no replica, and comes back empty.
func TestALostNodeOfACluster(t *testing.T) {
	t.Parallel()
	f, nodes := newClusterFleet(t)
	f.brief()
	f.outlive(func() {
		nodes[1].kill()
		time.Sleep(outage)
		if !nodes[1].restart() {
			t.Error("the node does not start again")
		}
		nodes.await()
	})
}

// The slots of all rooms are moved from node to node while the rooms are renewed. That costs
// no call: one refresh per room and renewal.
func TestSlotsMoveWhileRoomsRenew(t *testing.T) {
	t.Parallel()
	f, nodes := newClusterFleet(t)
	moved := 0
	f.outlive(func() {
		for began := time.Now(); time.Since(began) < outage; time.Sleep(50 * time.Millisecond) {
			nodes.move("roomtoken:{}" + rooms(warm)[moved%warm])
			moved++
		}
	})
	f.once(rooms(warm)...)
	if moved < warm {
		t.Errorf("%d slots were moved", moved)
	}
}

// move moves the slot of a key to the next node, with all keys that are in it.
func (c cluster) move(key string) {
	ctx := context.Background()
	slot := c[0].ClusterKeySlot(ctx, key).Val()
	from := slices.IndexFunc(c, func(node *server) bool { return node.owns(slot) })
	if from < 0 {
		c[0].t.Errorf("nobody has slot %d", slot)
		return
	}
	source, target, third := c[from], c[(from+1)%3], c[(from+2)%3]
	sourceID, targetID := source.ClusterMyID(ctx).Val(), target.ClusterMyID(ctx).Val()
	target.do("CLUSTER", "SETSLOT", slot, "IMPORTING", sourceID)
	source.do("CLUSTER", "SETSLOT", slot, "MIGRATING", targetID)
	time.Sleep(5 * time.Millisecond) // some find the slot in this state
	host, port := hostPort(target.addr)
	for {
		keys := source.ClusterGetKeysInSlot(ctx, int(slot), 100).Val()
		if len(keys) == 0 {
			break
		}
		for _, key := range keys {
			source.do("MIGRATE", host, port, key, 0, 5000, "REPLACE")
		}
	}
	for _, node := range []*server{target, source, third} {
		node.do("CLUSTER", "SETSLOT", slot, "NODE", targetID)
	}
}

// owns reports whether the node itself says that it serves the slot.
func (s *server) owns(slot int64) bool {
	shards, err := s.ClusterSlots(context.Background()).Result()
	s.check(err)
	for _, shard := range shards {
		if int64(shard.Start) <= slot && slot <= int64(shard.End) {
			return len(shard.Nodes) > 0 && shard.Nodes[0].Addr == s.addr
		}
	}
	return false
}
