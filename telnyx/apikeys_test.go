package telnyx

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"runtime"
	"strings"
	"testing"

	"github.com/roomtoken/roomtoken"
)

func TestAPIKeyFuncIsCalledForEveryCreate(t *testing.T) {
	base, requests := record(t, goodAnswer())
	calls := 0
	type ctxKey struct{}
	source := newSource(t, Config{BaseURL: base, APIKeyFunc: func(ctx context.Context) (string, error) {
		if ctx.Value(ctxKey{}) != "value" {
			t.Error("APIKeyFunc did not get the ctx of the call")
		}
		calls++
		return fmt.Sprintf("KEY%d", calls), nil
	}})
	ctx := context.WithValue(t.Context(), ctxKey{}, "value")
	for range 2 {
		if _, err := source.Create(ctx, testRoom); err != nil {
			t.Fatal(err)
		}
		if _, err := source.Refresh(ctx, testRoom, testRefreshToken); err != nil {
			t.Fatal(err)
		}
	}
	var sent []string
	for _, request := range requests() {
		sent = append(sent, request.header.Get("Authorization"))
	}
	if got := strings.Join(sent, ","); got != "Bearer KEY1,,Bearer KEY2," {
		t.Errorf("got %s", got)
	}
}

func TestAPIKeyFuncFailures(t *testing.T) {
	errVault := errors.New("vault is sealed")
	tests := map[string]struct {
		f     func(context.Context) (string, error)
		text  string
		is    error
		isNot error
	}{
		"error":           {func(context.Context) (string, error) { return "", errVault }, "Config.APIKeyFunc failed: vault is sealed", errVault, roomtoken.ErrPermanent},
		"permanent error": {func(context.Context) (string, error) { return "", roomtoken.Permanent(errVault) }, "vault is sealed", roomtoken.ErrPermanent, roomtoken.ErrRefreshRejected},
		"error with a key": {
			func(context.Context) (string, error) { return testKey, fmt.Errorf("%w: not %s", errVault, testKey) },
			"vault is sealed: not [redacted]", errVault, roomtoken.ErrPermanent,
		},
		"panic":               {func(context.Context) (string, error) { panic("boom\n") }, "Config.APIKeyFunc panicked: boom", nil, roomtoken.ErrPermanent},
		"panic with an error": {func(context.Context) (string, error) { panic(errVault) }, "Config.APIKeyFunc panicked: vault is sealed", errVault, roomtoken.ErrPermanent},
		"empty key":           {func(context.Context) (string, error) { return "", nil }, "the key from Config.APIKeyFunc is empty", roomtoken.ErrPermanent, roomtoken.ErrUnauthorized},
		"key with a newline":  {func(context.Context) (string, error) { return testKey + "\n", nil }, "the key from Config.APIKeyFunc ends in a newline", roomtoken.ErrPermanent, roomtoken.ErrUnauthorized},
		"Goexit":              {func(context.Context) (string, error) { runtime.Goexit(); return "", nil }, "Config.APIKeyFunc called runtime.Goexit", nil, roomtoken.ErrPermanent},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			base, requests := record(t, goodAnswer())
			_, err := newSource(t, Config{BaseURL: base, APIKeyFunc: test.f}).call(t, roomtoken.CallCreate)
			if err == nil || !strings.Contains(err.Error(), test.text) || !strings.HasPrefix(err.Error(), "telnyx: create for room 0ccc7b54…: ") {
				t.Fatalf("got %v; want %q in it", err, test.text)
			}
			if test.is != nil && !errors.Is(err, test.is) || errors.Is(err, test.isNot) {
				t.Errorf("%v wraps the wrong errors", err)
			}
			mustNotLeak(t, err.Error())
			var thrown *roomtoken.PanicError
			if errors.As(err, &thrown) != (strings.HasPrefix(name, "panic") || name == "Goexit") || strings.Contains(err.Error(), "goroutine ") {
				t.Errorf("%v: want a *PanicError in it where the function threw, and no stack in the text", err)
			}
			if strings.HasPrefix(name, "panic") && !strings.Contains(string(thrown.Stack), "apikeys_test.go") {
				t.Errorf("the stack does not lead to the function: %s", thrown.Stack)
			}
			if len(requests()) != 0 {
				t.Error("a request was made")
			}
		})
	}
}

// Once APIKeyFunc has returned a key, the key is redacted in its later failures and in the
// responses to Refresh, too.
func TestNewestKeyIsRedacted(t *testing.T) {
	fail := func() (string, error) { return testKey, nil }
	base := startServer(t, func(w http.ResponseWriter, r *http.Request) {
		if strings.Contains(r.URL.Path, "refresh") {
			answerWith(403, `{"title":"not with `+testKey+`"}`)(w, r)
			return
		}
		goodAnswer()(w, r)
	})
	source := newSource(t, Config{BaseURL: base, APIKeyFunc: func(context.Context) (string, error) { return fail() }})
	if _, err := source.call(t, roomtoken.CallCreate); err != nil {
		t.Fatal(err)
	}
	_, err := source.call(t, roomtoken.CallRefresh)
	if err == nil || !strings.Contains(err.Error(), "not with [redacted]") {
		t.Errorf("got %v", err)
	}
	for _, fail = range []func() (string, error){
		func() (string, error) { panic("lost " + testKey) },
		func() (string, error) { panic(errors.New("lost " + testKey)) },
		func() (string, error) { return "", errors.New("lost " + testKey) },
	} {
		_, err := source.call(t, roomtoken.CallCreate)
		if err == nil || !strings.Contains(err.Error(), "lost [redacted]") {
			t.Errorf("got %v", err)
			continue
		}
		mustNotLeak(t, fmt.Sprintf("%v %+v %#v", err, err, err))
	}
}
