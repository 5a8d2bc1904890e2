package redisstore

import (
	"context"
	_ "embed" // the scripts
	"fmt"
	"strings"

	"github.com/redis/go-redis/v9"
)

//go:embed lua/common.lua
var common string

//go:embed lua/failure.lua
var failure string

//go:embed lua/record.lua
var record string

//go:embed lua/room.lua
var room string

//go:embed lua/news.lua
var news string

//go:embed lua/load.lua
var load string

//go:embed lua/found.lua
var found string

//go:embed lua/acquire.lua
var acquire string

//go:embed lua/commit.lua
var commit string

//go:embed lua/reject.lua
var reject string

//go:embed lua/report.lua
var report string

//go:embed lua/hold.lua
var hold string

//go:embed lua/read.lua
var read string

// The scripts; each file says what its script does. They have no "#!lua" header: with one,
// a server that is out of memory would refuse to run even what only reads.
var (
	loadScript    = newScript(common, record, failure, load)
	acquireScript = newScript(common, record, found, failure, room, acquire)
	commitScript  = newScript(common, record, failure, room, commit)
	rejectScript  = newScript(common, record, failure, room, reject)

	reportScript = newScript(common, news, report)
	holdScript   = newScript(common, news, hold)
	readScript   = newScript(common, failure, news, read)
)

func newScript(parts ...string) *redis.Script { return redis.NewScript(strings.Join(parts, "\n")) }

// run runs a script and returns what it answers. It sends the hash of the script first, and
// the text if the server does not know it.
func (s *Store) run(ctx context.Context, script *redis.Script, keys []string, args ...any) (*answer, error) {
	values, err := script.Run(ctx, s.client, keys, args...).Slice()
	if err != nil {
		return nil, fmt.Errorf("redisstore: %w", err)
	}
	return &answer{rest: values}, nil
}

// runMany runs a script for each key, in as few round trips as there are nodes, and returns
// the answers in the order of the keys. The client's fallback to the text of a script does not
// work in a pipeline, so it is here.
func (s *Store) runMany(ctx context.Context, script *redis.Script, keys []string, args ...any) ([]*answer, error) {
	commands := make([]*redis.Cmd, len(keys))
	pipeline := s.client.Pipeline()
	for i, key := range keys {
		commands[i] = script.EvalSha(ctx, pipeline, []string{key}, args...)
	}
	_, _ = pipeline.Exec(ctx) // each command has its own error
	again := s.client.Pipeline()
	for i, key := range keys {
		if redis.HasErrorPrefix(commands[i].Err(), "NOSCRIPT") {
			commands[i] = script.Eval(ctx, again, []string{key}, args...)
		}
	}
	_, _ = again.Exec(ctx) // sends nothing if there is nothing

	answers := make([]*answer, len(keys))
	for i, c := range commands {
		values, err := c.Slice()
		if err != nil {
			return nil, fmt.Errorf("redisstore: %w", err)
		}
		answers[i] = &answer{rest: values}
	}
	return answers, nil
}
