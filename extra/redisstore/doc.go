// Package redisstore is a [roomtoken.Store] in Redis 7.0 and later, or Valkey 7.2 and
// later: the processes of a fleet share their tokens through it.
//
//	client := redis.NewClient(&redis.Options{Addr: "redis:6379", ContextTimeoutEnabled: true})
//	store, err := redisstore.New(client, redisstore.Config{EncryptionKeys: [][]byte{key}})
//	manager, err := roomtoken.NewManager(source, roomtoken.Config{Store: store})
//
// The client may be one for a single server, for Sentinel, or for a cluster, and speak RESP2
// or RESP3. It stays yours: a Store neither closes nor changes it. Some of its options
// matter:
//
//   - ContextTimeoutEnabled: with it, a command gives its connection back when the Manager
//     no longer waits for it; without it, after ReadTimeout.
//   - PoolSize: a Manager runs at most 32 commands at a time. One connection more waits for
//     messages.
//   - MaintNotificationsConfig: servers other than Redis Enterprise do not know the command
//     that it makes the client send; turn it off if they log an error.
//
// # What is in Redis
//
// A room is a hash, PREFIX{}ROOM. The empty hash tag makes a cluster hash the whole key, so
// that any room ID is a key of its own and rooms are spread over all nodes. The rejections
// of the last minutes are a stream, PREFIXnews, and a rate limit is a hash beside it. All
// keys end by themselves. Each call of a Store is one script; Reject is two, since the room
// and the news may be on different nodes.
//
// Records are sealed, see package storeseal. In the clear are room IDs, versions, when
// things end, the digests of tokens, and the texts of failures. Who can write to the server
// can remove all that and so cost calls, and can bring back an older record of a room that
// still lives.
//
// Messages go through plain Pub/Sub, to the channels PREFIXinbox:*, and only to processes
// that wait. Users of Redis have no channels unless they are given some; without them
// everything works, but processes that wait for each other ask at intervals instead of being
// told. The README has what else a user of the server needs.
package redisstore
