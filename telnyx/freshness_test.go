package telnyx

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptrace"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/roomtoken/roomtoken"
)

// hideCloser is a transport without CloseIdleConnections, like that of otelhttp.
type hideCloser struct{ http.RoundTripper }

// clients are the kinds of HTTP client that a Source can have.
var clients = map[string]func(*http.Transport) *http.Client{
	"default client": nil,
	"given client":   func(t *http.Transport) *http.Client { return &http.Client{Transport: t} },
	"a wrapper that hides CloseIdleConnections": func(t *http.Transport) *http.Client {
		return &http.Client{Transport: hideCloser{t}}
	},
	"a client with a timeout": func(t *http.Transport) *http.Client {
		return &http.Client{Transport: t, Timeout: time.Second}
	},
}

var protocols = map[string]*http.Protocols{"HTTP/1.1": {}, "HTTP/2": {}}

func init() {
	protocols["HTTP/1.1"].SetHTTP1(true)
	protocols["HTTP/2"].SetUnencryptedHTTP2(true)
}

// onEachNetwork runs test in a bubble for each protocol and kind of client. handler is the
// server's.
func onEachNetwork(t *testing.T, handler http.HandlerFunc, test func(*testing.T, *pipeNet, *Source)) {
	for protocol, protocols := range protocols {
		for name, client := range clients {
			t.Run(protocol+", "+name, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					network := startPipeNet(t, protocols, handler)
					test(t, network, network.source(t, client))
				})
			})
		}
	}
}

// createWithin calls Create with a timeout.
func createWithin(t *testing.T, s *Source, timeout time.Duration) error {
	ctx, cancel := context.WithTimeout(t.Context(), timeout)
	defer cancel()
	_, err := s.Create(ctx, testRoom)
	return err
}

// slowAnswer reads the request, as servers do, and takes a while, so that calls overlap.
func slowAnswer(w http.ResponseWriter, r *http.Request) {
	if _, err := io.Copy(io.Discard, r.Body); err != nil {
		return
	}
	time.Sleep(50 * time.Millisecond)
	goodAnswer()(w, r)
}

// Whatever dies silently, the call that meets it is the only one that fails.
func TestDeadIdleConnectionsCostOneCall(t *testing.T) {
	for _, timeout := range []time.Duration{10 * time.Second, 200 * time.Millisecond} {
		onEachNetwork(t, slowAnswer, func(t *testing.T, network *pipeNet, source *Source) {
			const idle = 3 * maxWasted
			var warm sync.WaitGroup
			for range idle {
				warm.Go(func() {
					if err := createWithin(t, source, timeout); err != nil {
						t.Error(err)
					}
				})
			}
			warm.Wait()
			network.kill()

			if err := createWithin(t, source, timeout); err == nil {
				t.Fatal("a call on a dead connection was answered")
			}
			for range 3 {
				if err := createWithin(t, source, timeout); err != nil {
					t.Errorf("after the call that met a dead connection: %v", err)
				}
			}
			dials := network.dials()
			for range 5 {
				if err := createWithin(t, source, timeout); err != nil {
					t.Error(err)
				}
			}
			if got := network.dials(); got > dials+1 {
				t.Errorf("the last 5 calls made %d connections: there is a live one to share", got-dials)
			}
		})
	}
}

// An HTTP/2 connection that many callers keep busy is never idle.
func TestDeadBusyConnectionsCostEachCallerOneCall(t *testing.T) {
	onEachNetwork(t, slowAnswer, func(t *testing.T, network *pipeNet, source *Source) {
		const timeout = 10 * time.Second
		var callers sync.WaitGroup
		var worst atomic.Int64
		for i := range 20 {
			callers.Go(func() {
				time.Sleep(time.Duration(i) * 37 * time.Millisecond)
				answered := time.Now()
				for began := time.Now(); time.Since(began) < 20*time.Second; time.Sleep(200 * time.Millisecond) {
					if createWithin(t, source, timeout) == nil {
						worst.Store(max(worst.Load(), int64(time.Since(answered))))
						answered = time.Now()
					}
				}
			})
		}
		time.Sleep(3 * time.Second)
		network.kill()
		callers.Wait()
		if worst := time.Duration(worst.Load()); worst > timeout+time.Second {
			t.Errorf("a caller went without an answer for %v", worst)
		}
		if source.fresh.suspect.Load() {
			t.Error("the connections are suspect at the end")
		}
	})
}

// What says nothing about the connections that are there does not keep calls off them.
func TestConnectionsAreNotSuspect(t *testing.T) {
	var hang atomic.Bool
	handler := func(w http.ResponseWriter, r *http.Request) {
		if hang.Load() {
			_, _ = io.Copy(io.Discard, r.Body) // net/http notices that a client leaves only then
			<-r.Context().Done()
			return
		}
		slowAnswer(w, r)
	}
	onEachNetwork(t, handler, func(t *testing.T, network *pipeNet, source *Source) {
		hang.Store(true)
		if err := createWithin(t, source, time.Second); err == nil {
			t.Error("a call on a new connection to a server that hangs was answered")
		}
		hang.Store(false)
		if source.fresh.suspect.Load() {
			t.Error("suspect after a call on a new connection")
		}
		source.fresh.closeIdle()
		if err := createWithin(t, source, time.Second); err != nil {
			t.Fatal(err)
		}
		ended, cancel := context.WithCancel(t.Context())
		cancel()
		if _, err := source.Create(ended, testRoom); err == nil {
			t.Error("a call with an ended ctx was answered")
		}
		inner := source.http.Transport
		ctx, cancel := context.WithCancel(t.Context())
		source.http.Transport = roundTripper(func(r *http.Request) (*http.Response, error) {
			cancel()
			return inner.RoundTrip(r)
		})
		if _, err := source.Create(ctx, testRoom); err == nil {
			t.Error("a call whose ctx ended before the request was sent was answered")
		}
		if source.fresh.suspect.Load() {
			t.Error("suspect after a ctx that ended before the request was sent")
		}
	})
}

// A server that is slower than a call's timeout for a while, on connections that live,
// costs connections, and no answers.
func TestSuspicionEndsWithTheFirstAnswer(t *testing.T) {
	var delay atomic.Int64
	handler := func(w http.ResponseWriter, r *http.Request) {
		time.Sleep(time.Duration(delay.Load()))
		slowAnswer(w, r)
	}
	onEachNetwork(t, handler, func(t *testing.T, network *pipeNet, source *Source) {
		delay.Store(0)
		if err := createWithin(t, source, time.Second/2); err != nil {
			t.Fatal(err)
		}
		delay.Store(int64(time.Minute))
		for range 5 {
			if err := createWithin(t, source, time.Second/2); err == nil {
				t.Error("a call to a slow server was answered in time")
			}
		}
		if !source.fresh.suspect.Load() {
			t.Error("not suspect")
		}
		delay.Store(0)
		for range 3 {
			if err := createWithin(t, source, time.Second/2); err != nil {
				t.Error(err)
			}
		}
		if source.fresh.suspect.Load() {
			t.Error("still suspect after an answer")
		}
		dials := network.dials()
		for range 5 {
			_ = createWithin(t, source, time.Second/2)
		}
		if network.dials() != dials {
			t.Errorf("%d new connections after the suspicion", network.dials()-dials)
		}
		time.Sleep(2 * time.Minute) // the handlers end
	})
}

// A call makes the connections suspect if it was sent on a reused one and ended without a
// byte of an answer, for want of time.
func TestSuspicion(t *testing.T) {
	for _, test := range []struct {
		reused, sent, answered, inTime bool
		err                            error
		want                           bool
	}{
		{reused: true, sent: true, want: true},
		{reused: true, sent: true, inTime: true, err: timeoutError{}, want: true},
		{reused: true, sent: true, inTime: true, err: errors.New("EOF")},
		{reused: true, sent: true, answered: true},
		{reused: true},
		{sent: true},
	} {
		synctest.Test(t, func(t *testing.T) {
			source := newSource(t, Config{HTTPClient: &http.Client{Transport: roundTripper(func(r *http.Request) (*http.Response, error) {
				trace := httptrace.ContextClientTrace(r.Context())
				trace.GotConn(httptrace.GotConnInfo{Reused: test.reused})
				if test.sent {
					trace.WroteRequest(httptrace.WroteRequestInfo{})
				}
				if test.answered {
					trace.GotFirstResponseByte()
				}
				if test.inTime {
					return nil, test.err
				}
				<-r.Context().Done()
				return nil, r.Context().Err()
			})}})
			_ = createWithin(t, source, time.Second)
			if got := source.fresh.suspect.Load(); got != test.want {
				t.Errorf("%+v: suspect is %v", test, got)
			}
		})
	}
}

type timeoutError struct{}

func (timeoutError) Error() string { return "timed out" }
func (timeoutError) Timeout() bool { return true }

// A call waits for the connections of others, and not for their answers.
func TestTurnEndsWhenTheRequestIsSent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		source := newSource(t, Config{HTTPClient: &http.Client{Transport: roundTripper(func(r *http.Request) (*http.Response, error) {
			trace := httptrace.ContextClientTrace(r.Context())
			trace.GotConn(httptrace.GotConnInfo{})
			trace.WroteRequest(httptrace.WroteRequestInfo{})
			<-r.Context().Done()
			return nil, r.Context().Err()
		})}})
		source.fresh.suspect.Store(true)
		began := time.Now()
		var calls sync.WaitGroup
		for range 10 {
			calls.Go(func() {
				_ = createWithin(t, source, time.Minute)
				if took := time.Since(began); took != time.Minute {
					t.Errorf("a call took %v", took)
				}
			})
		}
		time.Sleep(time.Millisecond)
		select {
		case source.fresh.turn <- struct{}{}:
		default:
			t.Error("a call that was sent has kept its turn")
		}
		calls.Wait()
	})
}

// A request that is refused an old connection does not reach the server, and calls that
// look for new connections at the same time do not use up each other's.
func TestSuspectCallsDoNotFlood(t *testing.T) {
	var whole atomic.Int64
	handler := func(w http.ResponseWriter, r *http.Request) {
		if body, err := io.ReadAll(r.Body); err != nil || len(body) == 0 {
			return
		}
		whole.Add(1)
		slowAnswer(w, r)
	}
	onEachNetwork(t, handler, func(t *testing.T, network *pipeNet, source *Source) {
		const calls = 64
		callAll := func() {
			whole.Store(0)
			var running sync.WaitGroup
			for range calls {
				running.Go(func() {
					if err := createWithin(t, source, 900*time.Millisecond); err != nil {
						t.Error(err)
					}
				})
			}
			running.Wait()
			if whole.Load() != calls {
				t.Errorf("%d requests for %d calls", whole.Load(), calls)
			}
		}
		callAll() // leaves connections that live
		network.slowDial.Store(int64(30 * time.Millisecond))
		dials := network.dials()
		source.fresh.suspect.Store(true)
		callAll()
		if made := network.dials() - dials; made > 3*calls { // without turns about 2,000
			t.Errorf("%d calls made %d connections", calls, made)
		}
	})
}

// A call whose dial hangs does not hold up the others for long.
func TestTurnsAreLimited(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var calls atomic.Int64
		source := newSource(t, Config{HTTPClient: &http.Client{Transport: roundTripper(func(r *http.Request) (*http.Response, error) {
			if calls.Add(1) > 1 {
				return nil, errors.New("refused")
			}
			<-r.Context().Done() // no connection is found
			return nil, r.Context().Err()
		})}})
		source.fresh.suspect.Store(true)
		var hanging sync.WaitGroup
		hanging.Go(func() { _ = createWithin(t, source, time.Minute) })
		synctest.Wait()
		began := time.Now()
		_ = createWithin(t, source, 10*time.Second)
		if took := time.Since(began); took != maxTurn {
			t.Errorf("the second call took %v", took)
		}
		ended, cancel := context.WithCancel(t.Context())
		cancel()
		if _, _ = source.Create(ended, testRoom); time.Since(began) != maxTurn {
			t.Error("a call whose ctx had ended waited for its turn")
		}
		hanging.Wait()
		if err := createWithin(t, source, time.Second); err == nil || time.Since(began) != time.Minute {
			t.Errorf("after the first call ended: %v, after %v", err, time.Since(began))
		}
	})
}

// A transport that calls every connection reused does not make a call try for ever.
func TestRefusalsAreLimited(t *testing.T) {
	for _, readsBody := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			limit := int64(maxWasted)
			if readsBody {
				limit = maxRefused
			}
			var requests atomic.Int64
			source := newSource(t, Config{HTTPClient: &http.Client{Transport: roundTripper(func(r *http.Request) (*http.Response, error) {
				requests.Add(1)
				trace := httptrace.ContextClientTrace(r.Context())
				trace.GotConn(httptrace.GotConnInfo{Reused: true})
				if readsBody {
					if _, err := io.ReadAll(r.Body); err != nil {
						return nil, err
					}
				}
				trace.WroteRequest(httptrace.WroteRequestInfo{})
				<-r.Context().Done()
				return nil, r.Context().Err()
			})}})
			for i, want := range []int64{1, limit + 1, limit + 1} {
				requests.Store(0)
				began := time.Now()
				if err := createWithin(t, source, time.Second); err == nil || time.Since(began) != time.Second {
					t.Errorf("call %d: %v after %v", i, err, time.Since(began))
				}
				if requests.Load() != want {
					t.Errorf("call %d made %d requests; want %d", i, requests.Load(), want)
				}
			}
		})
	}
}

// While connections are suspect, every body of a request is guarded, those that net/http
// gets for another try included; a request without a body is not sent for a body's sake.
func TestBodiesAreGuarded(t *testing.T) {
	check := roundTripper(func(r *http.Request) (*http.Response, error) {
		trace := httptrace.ContextClientTrace(r.Context())
		if r.Body == nil || r.Body == http.NoBody {
			trace.GotConn(httptrace.GotConnInfo{})
			return nil, errors.New("no body")
		}
		trace.GotConn(httptrace.GotConnInfo{Reused: true})
		again, err := r.GetBody()
		if err != nil {
			return nil, err
		}
		for name, body := range map[string]io.Reader{"the body": r.Body, "its copy": again} {
			if _, err := io.ReadAll(body); !errors.Is(err, errOldConnection) {
				t.Errorf("%s can be read on an old connection: %v", name, err)
			}
		}
		trace.GotConn(httptrace.GotConnInfo{})
		if text, err := io.ReadAll(r.Body); err != nil || string(text) != "{}" {
			t.Errorf("on a new connection the body is %q, %v", text, err)
		}
		return nil, errors.New("a body")
	})
	a := attempt{own: true, found: func() {}}
	request := func(body io.Reader) func(context.Context) (*http.Request, error) {
		return func(ctx context.Context) (*http.Request, error) {
			return http.NewRequestWithContext(ctx, http.MethodPost, "http://127.0.0.1", body)
		}
	}
	for _, test := range []struct {
		body io.Reader
		want string
	}{{strings.NewReader("{}"), "a body"}, {http.NoBody, "no body"}, {nil, "no body"}} {
		if err := a.do(t.Context(), exchange{&http.Client{Transport: check}, request(test.body), nil}); err == nil || !strings.HasSuffix(err.Error(), test.want) {
			t.Errorf("got %v; want %s", err, test.want)
		}
	}
}

// A Manager loses one CallTimeout, and a second.
func TestManagerOnDeadConnections(t *testing.T) {
	for _, timeout := range []time.Duration{time.Second, 10 * time.Second} {
		onEachNetwork(t, slowAnswer, func(t *testing.T, network *pipeNet, source *Source) {
			manager, err := roomtoken.NewManager(source, roomtoken.Config{CallTimeout: timeout, MaxWait: 2 * time.Minute})
			if err != nil {
				t.Fatal(err)
			}
			defer manager.Close()
			room := func(i int) string { return fmt.Sprintf("0ccc7b54-4df3-4bca-a65a-%012d", i) }
			ask := func(from, to int) (worst time.Duration) {
				var mu sync.Mutex
				var callers sync.WaitGroup
				for i := from; i < to; i++ {
					callers.Go(func() {
						began := time.Now()
						if _, err := manager.Token(t.Context(), room(i)); err != nil {
							t.Error(err)
						}
						mu.Lock()
						defer mu.Unlock()
						worst = max(worst, time.Since(began))
					})
				}
				callers.Wait()
				return worst
			}
			ask(0, 8)
			network.kill()
			if worst := ask(8, 9); worst > timeout+time.Second {
				t.Errorf("the first token came after %v", worst)
			}
		})
	}
}
