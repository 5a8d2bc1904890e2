package telnyx

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/roomtoken/roomtoken"
)

const otherKey = "KEYanother0123456789_abcdefghijklmno"

// refuseKeys is a transport that records the keys it gets. It answers with a grant, or with
// status and body where the key is one of refused.
type refuseKeys struct {
	status  int
	body    string
	refused []string

	mu   sync.Mutex
	sent []string
}

func (r *refuseKeys) RoundTrip(req *http.Request) (*http.Response, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	key := strings.TrimPrefix(req.Header.Get("Authorization"), "Bearer ")
	r.sent = append(r.sent, key)
	now := time.Now()
	status, body := 201, grantBody("the-token", now.Add(10*time.Minute), "the-refresh-token", now.Add(time.Hour))
	for _, refused := range r.refused {
		if key == refused {
			status, body = r.status, r.body
		}
	}
	return &http.Response{StatusCode: status, Header: http.Header{}, Body: io.NopCloser(strings.NewReader(body)), Request: req}, nil
}

// keySource returns a Source whose requests go to a refuseKeys.
func keySource(t *testing.T, api *refuseKeys, f func(context.Context) (string, error)) *Source {
	return newSource(t, Config{APIKeyFunc: f, HTTPClient: &http.Client{Transport: api}})
}

func TestRefusedKeyIsAskedForAgain(t *testing.T) {
	const bothKeys = `{"errors":[{"code":"10009","title":"not ` + testKey + ` nor ` + otherKey + `"}]}`
	other := func(context.Context) (string, error) { return otherKey, nil }
	tests := map[string]struct {
		status  int
		body    string
		refused []string
		again   func(context.Context) (string, error)
		asked   int64
		sent    string
		err     string // in the error; "": none
	}{
		"another key":                       {401, ``, []string{testKey}, other, 2, testKey + "," + otherKey, ""},
		"an account code":                   {403, `{"errors":[{"code":"20012"}]}`, []string{testKey}, other, 2, testKey + "," + otherKey, ""},
		"another key that is refused, too":  {401, bothKeys, []string{testKey, otherKey}, other, 2, testKey + "," + otherKey, "401 Unauthorized: not [redacted] nor [redacted] (code 10009)"},
		"the same key":                      {401, ``, []string{testKey}, func(context.Context) (string, error) { return testKey, nil }, 2, testKey, "401 Unauthorized"},
		"an error":                          {401, ``, []string{testKey}, func(context.Context) (string, error) { return otherKey, errors.New("sealed") }, 2, testKey, "401 Unauthorized"},
		"a malformed key":                   {401, ``, []string{testKey}, func(context.Context) (string, error) { return otherKey + "\n", nil }, 2, testKey, "401 Unauthorized"},
		"no key":                            {401, ``, []string{testKey}, func(context.Context) (string, error) { return "", nil }, 2, testKey, "401 Unauthorized"},
		"a panic":                           {401, ``, []string{testKey}, func(context.Context) (string, error) { panic("lost") }, 2, testKey, "401 Unauthorized"},
		"Goexit":                            {401, ``, []string{testKey}, func(context.Context) (string, error) { runtime.Goexit(); return "", nil }, 2, testKey, "401 Unauthorized"},
		"a hang":                            {401, ``, []string{testKey}, func(ctx context.Context) (string, error) { <-ctx.Done(); return otherKey, ctx.Err() }, 2, testKey, "401 Unauthorized"},
		"refused for lack of authorization": {403, `{"errors":[{"code":"10010"}]}`, []string{testKey}, other, 1, testKey, "403 Forbidden"},
		"no such room":                      {404, ``, []string{testKey}, other, 1, testKey, "404 Not Found"},
		"rate limit":                        {429, `{"errors":[{"code":"10009"}]}`, []string{testKey}, other, 1, testKey, "429 Too Many"},
		"outage":                            {500, `{"errors":[{"code":"10009"}]}`, []string{testKey}, other, 1, testKey, "500 Internal"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				api := &refuseKeys{status: test.status, body: test.body, refused: test.refused}
				var asked atomic.Int64
				source := keySource(t, api, func(ctx context.Context) (string, error) {
					if asked.Add(1) == 1 {
						return testKey, nil
					}
					return test.again(ctx)
				})
				ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
				defer cancel()
				_, err := source.Create(ctx, testRoom)
				if (err == nil) != (test.err == "") || err != nil && !strings.Contains(err.Error(), test.err) {
					t.Errorf("got error %v; want %q", err, test.err)
				}
				if got := strings.Join(api.sent, ","); asked.Load() != test.asked || got != test.sent {
					t.Errorf("asked %d times and sent %s; want %d and %s", asked.Load(), got, test.asked, test.sent)
				}
				if err != nil {
					mustNotLeak(t, fmt.Sprintf("%v %+v %#v", err, err, err), otherKey)
				}
			})
		})
	}
}

func TestRefreshAndFixedKeysAreNotRepeated(t *testing.T) {
	api := &refuseKeys{status: 401, refused: []string{"", testKey}}
	source := keySource(t, api, func(context.Context) (string, error) { t.Error("Refresh asked for the key"); return otherKey, nil })
	if _, err := source.call(t, roomtoken.CallRefresh); !errors.Is(err, roomtoken.ErrRefreshRejected) {
		t.Errorf("got %v", err)
	}
	fixed := newSource(t, Config{HTTPClient: &http.Client{Transport: api}})
	if _, err := fixed.call(t, roomtoken.CallCreate); !errors.Is(err, roomtoken.ErrUnauthorized) {
		t.Errorf("got %v", err)
	}
	if len(api.sent) != 2 {
		t.Errorf("%d requests; want one for each call", len(api.sent))
	}
}

// Both the newest key and the one before it are redacted in a Refresh.
func TestReplacedKeyIsStillRedacted(t *testing.T) {
	api := &refuseKeys{status: 401, body: `{"title":"not ` + testKey + ` nor ` + otherKey + `"}`, refused: []string{"", testKey}}
	keys := []string{testKey, otherKey}
	source := keySource(t, api, func(context.Context) (string, error) { key := keys[0]; keys = keys[1:]; return key, nil })
	if _, err := source.call(t, roomtoken.CallCreate); err != nil {
		t.Fatal(err)
	}
	_, err := source.call(t, roomtoken.CallRefresh)
	if err == nil || !strings.Contains(err.Error(), "not [redacted] nor [redacted]") {
		t.Errorf("got %v", err)
	}
}

// creates starts n Creates and returns their errors once all have ended.
func creates(ctx context.Context, source *Source, n int) (wait func() []error) {
	errs := make([]error, n)
	var running sync.WaitGroup
	for i := range n {
		running.Go(func() { _, errs[i] = source.Create(ctx, testRoom) })
	}
	return func() []error { running.Wait(); return errs }
}

func TestCreatesShareACallOfAPIKeyFunc(t *testing.T) {
	tests := map[string]struct {
		f    func() (string, error)
		text string // in every error; "": none
	}{
		"key":    {func() (string, error) { return testKey, nil }, ""},
		"error":  {func() (string, error) { return "", errors.New("sealed") }, "Config.APIKeyFunc failed: sealed"},
		"panic":  {func() (string, error) { panic("lost") }, "Config.APIKeyFunc panicked: lost"},
		"Goexit": {func() (string, error) { runtime.Goexit(); return "", nil }, "Config.APIKeyFunc called runtime.Goexit"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				calls := 0
				source := keySource(t, new(refuseKeys), func(context.Context) (string, error) {
					calls++
					time.Sleep(time.Second)
					return test.f()
				})
				for round := 1; round <= 2; round++ { // a key is not kept
					for _, err := range creates(t.Context(), source, 20)() {
						if (err == nil) != (test.text == "") || err != nil && !strings.Contains(err.Error(), test.text) {
							t.Errorf("got %v; want %q", err, test.text)
						}
					}
					if calls != round {
						t.Fatalf("%d calls of APIKeyFunc in round %d", calls, round)
					}
				}
			})
		})
	}
}

// A call that outlives the ctx of its Create is abandoned, and the others begin another,
// whether it ignores the ctx or not.
func TestHangingAPIKeyFuncIsAbandoned(t *testing.T) {
	for name, ignores := range map[string]bool{"ignores its ctx": true, "obeys its ctx": false} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				release := make(chan struct{})
				var calls atomic.Int64
				source := keySource(t, new(refuseKeys), func(ctx context.Context) (string, error) {
					if calls.Add(1) > 1 {
						time.Sleep(time.Second)
						return testKey, nil
					}
					if ignores {
						<-release
						return testKey, nil
					}
					<-ctx.Done()
					return "", ctx.Err()
				})
				short, cancel := context.WithTimeout(t.Context(), time.Second)
				defer cancel()
				began := time.Now()
				first := creates(short, source, 1)
				synctest.Wait()
				others := creates(t.Context(), source, 20)
				err := first()[0]
				if err == nil || !strings.Contains(err.Error(), "Config.APIKeyFunc") || !errors.Is(err, context.DeadlineExceeded) || errors.Is(err, roomtoken.ErrPermanent) {
					t.Errorf("got %v; want a transient error that names Config.APIKeyFunc", err)
				}
				for _, err := range others() {
					if err != nil {
						t.Error(err)
					}
				}
				if took := time.Since(began); took != 2*time.Second || calls.Load() != 2 {
					t.Errorf("%d calls in %v; want 2 in 2s", calls.Load(), took)
				}
				close(release)
			})
		})
	}
}

// The Creates that share a call do not get an error that comes from the ctx of another.
func TestFailureFromAnEndedCtxIsNotShared(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ending, end := context.WithCancel(t.Context())
		var calls atomic.Int64
		source := keySource(t, new(refuseKeys), func(ctx context.Context) (string, error) {
			if calls.Add(1) > 1 {
				return testKey, nil
			}
			time.Sleep(time.Second)
			end()
			return "", ctx.Err()
		})
		first := creates(ending, source, 1)
		synctest.Wait()
		if err := creates(t.Context(), source, 1)()[0]; err != nil {
			t.Error(err)
		}
		if err := first()[0]; err == nil || !strings.Contains(err.Error(), "Config.APIKeyFunc") || !errors.Is(err, context.Canceled) {
			t.Errorf("got %v", err)
		}
	})
}

// A Create that leaves does not end the call of another.
func TestWaiterForAPIKeyMayLeave(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		calls := 0
		source := keySource(t, new(refuseKeys), func(context.Context) (string, error) {
			calls++
			time.Sleep(5 * time.Second)
			return testKey, nil
		})
		owner := creates(t.Context(), source, 1)
		synctest.Wait()
		short, cancel := context.WithTimeoutCause(t.Context(), time.Second, errors.New("no longer needed"))
		defer cancel()
		began := time.Now()
		err := creates(short, source, 1)()[0]
		if err == nil || !strings.Contains(err.Error(), "waiting for Config.APIKeyFunc: no longer needed") || !errors.Is(err, context.DeadlineExceeded) || time.Since(began) != time.Second {
			t.Errorf("got %v after %v", err, time.Since(began))
		}
		if err := owner()[0]; err != nil || calls != 1 {
			t.Errorf("got %v and %d calls", err, calls)
		}
	})
}

func TestAbandonedCallsOfAPIKeyFuncAreLimited(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		var calls atomic.Int64
		source := keySource(t, new(refuseKeys), func(context.Context) (string, error) {
			calls.Add(1)
			<-release
			return testKey, nil
		})
		began := time.Now()
		for range maxAbandoned {
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			if _, err := source.Create(ctx, testRoom); !errors.Is(err, context.DeadlineExceeded) {
				t.Fatalf("got %v", err)
			}
			cancel()
		}
		_, err := source.Create(t.Context(), testRoom)
		if err == nil || !strings.Contains(err.Error(), "16 calls of Config.APIKeyFunc have not returned") || errors.Is(err, roomtoken.ErrPermanent) {
			t.Errorf("got %v", err)
		}
		if took := time.Since(began); took != maxAbandoned*time.Second || calls.Load() != maxAbandoned {
			t.Errorf("%d calls in %v", calls.Load(), took)
		}
		close(release)
		synctest.Wait()
		if _, err := source.Create(t.Context(), testRoom); err != nil {
			t.Errorf("after the calls have returned: %v", err)
		}
	})
}
