package redisstore_test

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/redis/go-redis/v9"

	"github.com/roomtoken/roomtoken"
	"github.com/roomtoken/roomtoken/extra/redisstore"
)

// answers is a hook that answers every command in the place of a server.
type answers struct {
	redis.Hook
	value any
	err   error
}

func (a answers) answer(cmd redis.Cmder) error {
	if c, ok := cmd.(*redis.Cmd); ok {
		c.SetVal(a.value)
	}
	cmd.SetErr(a.err)
	return a.err
}

func (a answers) ProcessHook(redis.ProcessHook) redis.ProcessHook {
	return func(_ context.Context, cmd redis.Cmder) error { return a.answer(cmd) }
}

func (a answers) ProcessPipelineHook(redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return func(_ context.Context, cmds []redis.Cmder) error {
		for _, cmd := range cmds {
			_ = a.answer(cmd)
		}
		return a.err
	}
}

func (a answers) DialHook(next redis.DialHook) redis.DialHook { return next }

// answering returns a store whose server answers everything so.
func answering(t *testing.T, a answers) *redisstore.Store {
	t.Helper()
	client := newClient(t, "127.0.0.1:1")
	client.AddHook(a)
	return newStore(t, client, keys(1))
}

// What answers in the place of a server may be a proxy that garbles. That is no answer.
func TestAnswersThatAreNone(t *testing.T) {
	for name, value := range map[string]any{
		"nil":               nil,
		"text":              "OK",
		"empty":             []any{},
		"number":            []any{int64(1), "0", "lease"},
		"not a number":      []any{"x", "0", "none"},
		"too large":         []any{"9007199254740992", "0", "none"},
		"negative":          []any{"-1", "0", "none"},
		"unknown kind":      []any{"1", "0", "maybe"},
		"not a flag":        []any{"1", "2", "none"},
		"cut record":        []any{"1", "0", "record", strings.Repeat("1", 47)},
		"cut lease":         []any{"1", "0", "lease", "1", "0"},
		"cut failure":       []any{"1", "0", "failure", "1", "1"},
		"long duration":     []any{"1", "0", "busy", "9999999999999999999"},
		"list for a number": []any{"1", "0", "busy", []any{}},
		"cut refusal":       []any{"1", "refused", "5"},
		"cut load":          []any{"1", "0", "0", "0", ""},
		"cut news":          []any{"1", "1-1", "0", "", "0", "0", "0", "0", "0", ""},
		"news with text":    []any{"1", "1-1", "0", "", "0", "0", "0", "0", "0", "", "log"},
	} {
		s := answering(t, answers{value: value})
		for method, err := range map[string]error{
			"Acquire": second(s.Acquire(t.Context(), ask("room"))),
			"Commit":  second(s.Commit(t.Context(), roomtoken.Lease{RoomID: "room", ID: "x"}, roomtoken.Result{})),
			"Load":    second(s.Load(t.Context(), []string{"room"})),
			"News":    second(s.News(t.Context(), "")),
		} {
			if err == nil || !strings.HasPrefix(err.Error(), "redisstore: ") {
				t.Errorf("%s, %s: %v", name, method, err)
			}
		}
	}
}

func TestCutNews(t *testing.T) {
	s := answering(t, answers{value: []any{"1", "1-1", "0", "", "0", "0", "0", "0", "0", "", []any{"x", []any{}, []any{"1-1"}, []any{"1-1", "x"}}}})
	if n, err := s.News(t.Context(), ""); err != nil || len(n.Rejections) != 0 || n.Cursor != "1-1" {
		t.Errorf("%+v, %v", n, err)
	}
}

// A server that is read-only may say so before it runs a script.
func TestReadOnlyWithoutATime(t *testing.T) {
	s := answering(t, answers{err: redisError("READONLY You can't write against a read only replica.")})
	e, err := s.Acquire(t.Context(), ask("room"))
	if err != nil || what(e) != "degraded" || e.Degraded.Error() != "redisstore: READONLY You can't write against a read only replica." || e.Now != 0 {
		t.Errorf("%s, %v, %v", what(e), e.Degraded, err)
	}
}

// redisError is an error that a server answers.
type redisError string

func (e redisError) Error() string { return string(e) }
func (redisError) RedisError()     {}

// The errors of the client are wrapped.
func TestErrorsAreWrapped(t *testing.T) {
	broken := errors.New("broken")
	s := answering(t, answers{err: broken})
	for method, err := range map[string]error{
		"Acquire": second(s.Acquire(t.Context(), ask("room"))),
		"Commit":  second(s.Commit(t.Context(), roomtoken.Lease{RoomID: "room", ID: "x"}, roomtoken.Result{})),
		"Load":    second(s.Load(t.Context(), []string{"room"})),
		"Reject":  s.Reject(t.Context(), rejection("room", "one")),
		"Hold":    s.Hold(t.Context(), 0, roomtoken.Failure{}),
		"News":    second(s.News(t.Context(), "")),
	} {
		if !errors.Is(err, broken) || !strings.HasPrefix(err.Error(), "redisstore: ") {
			t.Errorf("%s: %v", method, err)
		}
	}
}
