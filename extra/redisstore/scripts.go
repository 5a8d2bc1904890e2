package redisstore

import (
	"context"
	_ "embed" // the scripts
	"fmt"

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

// script is a script and what it is called in errors.
type script struct {
	*redis.Script
	text string
}

func newScript(parts ...string) script {
	var text string
	for _, part := range parts {
		text += part + "\n"
	}
	return script{redis.NewScript(text), text}
}

// run runs a script and returns what it answers. It sends the hash of the script first, and
// the text if the server does not know it.
func (s *Store) run(ctx context.Context, script script, keys []string, args ...any) (*answer, error) {
	values, err := script.Run(ctx, s.client, keys, args...).Slice()
	if err != nil {
		return nil, fmt.Errorf("redisstore: %w", err)
	}
	return &answer{rest: values}, nil
}

// runMany runs a script for each key, in as few round trips as there are nodes, and returns
// the answers in the order of the keys. A client's fallback to the text of a script does not
// work in a pipeline (redis/go-redis#3228), so it is here.
func (s *Store) runMany(ctx context.Context, script script, keys []string) ([]*answer, error) {
	commands := make([]*redis.Cmd, len(keys))
	missing := make([]int, len(keys)) // the keys that have no answer yet
	for i := range keys {
		missing[i] = i
	}
	send := func(command func(p redis.Pipeliner, key string) *redis.Cmd) {
		pipeline := s.client.Pipeline()
		for _, i := range missing {
			commands[i] = command(pipeline, keys[i])
		}
		_, _ = pipeline.Exec(ctx) // each command has its own error
	}
	send(func(p redis.Pipeliner, key string) *redis.Cmd { return script.EvalSha(ctx, p, []string{key}) })
	missing = missing[:0]
	for i, c := range commands {
		if redis.HasErrorPrefix(c.Err(), "NOSCRIPT") {
			missing = append(missing, i)
		}
	}
	if len(missing) > 0 {
		send(func(p redis.Pipeliner, key string) *redis.Cmd { return script.Eval(ctx, p, []string{key}) })
	}

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
