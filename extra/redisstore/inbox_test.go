package redisstore_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/roomtoken/roomtoken"
	"github.com/roomtoken/roomtoken/extra/redisstore"
)

// waker is a running call of Wake.
type waker struct {
	t        testing.TB
	calls    chan wake
	cancel   context.CancelFunc
	returned chan error
}

type wake struct {
	roomID string
	record roomtoken.Record
}

// wake calls Wake of the store, until the test ends.
func (f fleet) wake() *waker {
	f.t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	w := &waker{t: f.t, calls: make(chan wake, 10_000), cancel: cancel, returned: make(chan error, 1)}
	go func() {
		w.returned <- f.Wake(ctx, func(roomID string, record roomtoken.Record) { w.calls <- wake{roomID, record} })
	}()
	f.t.Cleanup(w.stop)
	return w
}

// stop ends the call, and fails the test if it does not return or wakes afterwards.
func (w *waker) stop() {
	w.cancel()
	select {
	case err := <-w.returned:
		if !errors.Is(err, context.Canceled) {
			w.t.Errorf("Wake returned %v", err)
		}
		w.returned <- err
	case <-time.After(20 * time.Second):
		w.t.Error("Wake does not return")
	}
}

// wait waits for a wake of a room, and returns its record.
func (w *waker) wait(roomID string) roomtoken.Record {
	w.t.Helper()
	record, ok := w.within(20*time.Second, roomID)
	if !ok {
		w.t.Fatalf("not woken for %q", roomID)
	}
	return record
}

// within is wait, for so long at most.
func (w *waker) within(d time.Duration, roomID string) (roomtoken.Record, bool) {
	timeout := time.After(d)
	for {
		select {
		case c := <-w.calls:
			if c.roomID == roomID {
				return c.record, true
			}
		case <-timeout:
			return roomtoken.Record{}, false
		}
	}
}

// quiet fails the test if a wake of a room has come. The last message of this inbox must
// have been waited for.
func (w *waker) quiet() {
	w.t.Helper()
	for {
		select {
		case c := <-w.calls:
			if c.roomID != "" {
				w.t.Errorf("woken for %q", c.roomID)
			}
		default:
			return
		}
	}
}

// waitingAsk returns an ask that wants to be told.
func waitingAsk(roomID string) roomtoken.Ask {
	a := ask(roomID)
	a.Wait = true
	return a
}

func TestWakeWithTheRecord(t *testing.T) {
	f := newFleet(t)
	holder, other := f.with(keys(1)), f.with(keys(1))
	w, o := f.wake(), other.wake()
	w.wait("")
	o.wait("")
	for _, roomID := range []string{"room", "12:x", "\x00{}\xff"} {
		l := holder.lease(ask(roomID))
		for range 3 {
			f.acquire(waitingAsk(roomID))
			other.acquire(waitingAsk(roomID))
		}
		if n := f.client.HStrLen(t.Context(), f.key(roomID), "boxes").Val(); n != 2*16 {
			t.Errorf("%d bytes of inboxes, want two", n)
		}
		r := record(l, "one")
		holder.commit(l, roomtoken.Result{Record: r})
		if got := w.wait(roomID); !same(got, r) {
			t.Errorf("woken with %+v, want %+v", got, r)
		}
		if got := o.wait(roomID); !same(got, r) {
			t.Errorf("the other was woken with %+v, want %+v", got, r)
		}
	}
	w.quiet()
}

// Whatever a lease ends with, those who wait hear of it.
func TestWakeWithoutARecord(t *testing.T) {
	f := newFleet(t)
	w := f.wake()
	w.wait("")
	failure := roomtoken.Failure{Kind: roomtoken.FailureTransient}
	for name, end := range map[string]func(l roomtoken.Lease) roomtoken.Result{
		"nothing": func(roomtoken.Lease) roomtoken.Result { return roomtoken.Result{} },
		"failure": func(roomtoken.Lease) roomtoken.Result { return roomtoken.Result{Failure: failure} },
		"refused": func(l roomtoken.Lease) roomtoken.Result {
			must(t, f.Reject(t.Context(), rejection("refused", "one")))
			return roomtoken.Result{Record: record(l, "one")}
		},
		"too old": func(l roomtoken.Lease) roomtoken.Result {
			g := f.with(keys(1))
			f.client.HDel(t.Context(), f.key("too old"), "lease", "boxes")
			g.publish("too old", "newer")
			f.set("too old", "lease", l.ID, "expiry", f.soon(time.Minute), "boxes", f.Channel()[len(f.Channel())-16:])
			return roomtoken.Result{Record: record(l, "one")}
		},
	} {
		l := f.lease(ask(name))
		if e := f.acquire(waitingAsk(name)); what(e) != "busy" {
			t.Errorf("%s: %s", name, what(e))
		}
		f.commit(l, end(l))
		if got := w.wait(name); !got.IsZero() {
			t.Errorf("%s: woken with %+v", name, got)
		}
	}
}

// Who did not ask to wait is not told, nor is anybody by a commit after the lease.
func TestNoWakeForOthers(t *testing.T) {
	f := newFleet(t)
	w := f.wake()
	w.wait("")
	l := f.lease(ask("room"))
	f.acquire(ask("room"))
	f.commit(l, roomtoken.Result{})

	short := ask("late")
	short.TTL = time.Millisecond
	lost := f.lease(short)
	l = until(t, f, "lease", ask("late")).Lease
	f.acquire(waitingAsk("late"))
	f.commit(lost, roomtoken.Result{})
	w.quiet()
	f.commit(l, roomtoken.Result{})
	w.wait("late")
	w.quiet()
}

// A record that this process cannot open wakes it all the same.
func TestWakeWithAnUnreadableRecord(t *testing.T) {
	f := newFleet(t)
	w := f.wake()
	w.wait("")
	other := f.with(keys(2))
	l := other.lease(ask("room"))
	f.acquire(waitingAsk("room"))
	other.commit(l, roomtoken.Result{Record: record(l, "one")})
	if got := w.wait("room"); !got.IsZero() {
		t.Errorf("woken with %+v", got)
	}
}

// All Managers of a Store share one subscription, which ends with the last.
func TestWakesShareAnInbox(t *testing.T) {
	f := newFleet(t)
	first, second := f.wake(), f.wake()
	first.wait("")
	second.wait("")
	if n := f.subscribers(); n != 1 {
		t.Errorf("%d subscriptions", n)
	}
	l := f.lease(ask("room"))
	f.acquire(waitingAsk("room"))
	f.commit(l, roomtoken.Result{Record: record(l, "one")})
	first.wait("room")
	second.wait("room")

	first.stop()
	third := f.wake()
	third.wait("")
	if n := f.subscribers(); n != 1 {
		t.Errorf("%d subscriptions after one has left and one has come", n)
	}
	second.stop()
	third.stop()
	for i := 0; f.subscribers() != 0; i++ {
		if i == 2000 {
			t.Fatal("the subscription stays")
		}
		time.Sleep(5 * time.Millisecond)
	}
	if f.Heard() {
		t.Error("without a subscription the inbox still counts as heard")
	}
	l = f.lease(ask("other"))
	f.acquire(waitingAsk("other"))
	if n := f.client.HExists(t.Context(), f.key("other"), "boxes").Val(); n {
		t.Error("an inbox was left that nobody reads")
	}
	f.commit(l, roomtoken.Result{})

	f.wake().wait("")
}

// subscribers returns how many connections are subscribed to the inbox.
func (f fleet) subscribers() int64 {
	f.t.Helper()
	n, err := f.client.PubSubNumSub(f.t.Context(), f.Channel()).Result()
	must(f.t, err)
	return n[f.Channel()]
}

// Once Wake has returned it wakes no more, also if a message came before.
func TestNoWakeAfterReturn(t *testing.T) {
	f := newFleet(t)
	entered, release, over := make(chan struct{}), make(chan struct{}), make(chan struct{})
	ctx, cancel := context.WithCancel(t.Context())
	heard := make(chan struct{})
	var once sync.Once
	go func() {
		_ = f.Wake(ctx, func(roomID string, _ roomtoken.Record) {
			switch roomID {
			case "":
				once.Do(func() { close(heard) })
			case "first":
				close(entered)
				<-release
			case "last":
				close(over)
			}
		})
	}()
	<-heard
	w := f.wake()
	w.wait("")
	must(t, f.client.Publish(t.Context(), f.Channel(), "5:first").Err())
	<-entered
	w.stop()
	close(release)
	must(t, f.client.Publish(t.Context(), f.Channel(), "4:last").Err())
	<-over
	cancel()
	w.quiet()
}

// The list of those who wait is bounded.
func TestManyWait(t *testing.T) {
	f := newFleet(t)
	w := f.wake()
	w.wait("")
	l := f.lease(ask("room"))
	boxes := ""
	for i := range 256 {
		boxes += fmt.Sprintf("%016d", i)
	}
	f.set("room", "boxes", boxes)
	f.acquire(waitingAsk("room"))
	if n := f.client.HStrLen(t.Context(), f.key("room"), "boxes").Val(); n != 256*16 {
		t.Errorf("%d bytes of inboxes", n)
	}
	f.commit(l, roomtoken.Result{})
	w.quiet()
}

// Messages that no script sends wake nobody, and are no harm.
func TestNonsenseInTheInbox(t *testing.T) {
	f := newFleet(t)
	w := f.wake()
	w.wait("")
	for _, nonsense := range []string{"x", ":", "0:", "-1:x", "5:room", "99999999999999999999:x", "x:room"} {
		must(t, f.client.Publish(t.Context(), f.Channel(), nonsense).Err())
		w.wait("")
	}
	w.quiet()
	must(t, f.client.Publish(t.Context(), f.Channel(), "4:roomnonsense").Err())
	if got := w.wait("room"); !got.IsZero() {
		t.Errorf("woken with %+v", got)
	}
}

// An inbox that is silent is sent a message; it says so each time one arrives.
func TestWakeSaysThatItHears(t *testing.T) {
	f := newFleet(t)
	f.Hurry(50*time.Millisecond, 50*time.Millisecond)
	w := f.wake()
	for range 5 {
		w.wait("")
	}
}

// deaf is a dialer. What comes on the subscriptions that were made before it became deaf is
// lost, although their connections look alive.
type deaf struct {
	net.Dialer
	mu    sync.Mutex
	conns []*deafConn // those with subscriptions
}

type deafConn struct {
	net.Conn
	dialer *deaf
	deaf   atomic.Bool
}

func (d *deaf) dial(ctx context.Context, network, addr string) (net.Conn, error) {
	c, err := d.DialContext(ctx, network, addr)
	return &deafConn{Conn: c, dialer: d}, err
}

// become makes all connections deaf that there are, and returns how many.
func (d *deaf) become() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, c := range d.conns {
		c.deaf.Store(true)
	}
	return len(d.conns)
}

func (c *deafConn) Write(b []byte) (int, error) {
	if bytes.Contains(b, []byte("\r\nsubscribe\r\n")) {
		c.dialer.mu.Lock()
		c.dialer.conns = append(c.dialer.conns, c)
		c.dialer.mu.Unlock()
	}
	return c.Conn.Write(b)
}

func (c *deafConn) Read(b []byte) (int, error) {
	for {
		n, err := c.Conn.Read(b)
		if err != nil || !c.deaf.Load() {
			return n, err
		}
	}
}

// An inbox that was heard is left alone until it has been silent.
func TestInboxIsLeftAlone(t *testing.T) {
	var calls commands
	client := newClient(t, shared)
	f := fleetOn(t, client)
	client.AddHook(&calls)
	f.Hurry(time.Hour, 20*time.Millisecond)
	w := f.wake()
	w.wait("")
	sent := calls.told.Load() // more than one if the first was slow
	if _, ok := w.within(200*time.Millisecond, ""); ok || calls.told.Load() != sent {
		t.Errorf("%d messages to itself after it was heard", calls.told.Load()-sent)
	}
}

// A connection that looks alive and delivers nothing is replaced.
func TestSilentConnection(t *testing.T) {
	var dialer deaf
	f := newFleet(t)
	f.Store = newStore(t, newClient(t, shared, func(o *redis.Options) { o.Dialer = dialer.dial }), redisstore.Config{Prefix: f.prefix, EncryptionKeys: [][]byte{testKey(1)}})
	f.Hurry(100*time.Millisecond, 100*time.Millisecond)
	w := f.wake()
	w.wait("")
	n := dialer.become()
	eventually(t, "the inbox is known to be silent", func() bool { return !f.Heard() })
	eventually(t, "it is heard again", f.Heard)
	dialer.mu.Lock()
	defer dialer.mu.Unlock()
	if len(dialer.conns) <= n {
		t.Error("no other connection was made")
	}
}

// While the server is away, Wake goes on, and hears again when the server is back.
func TestWakeOutlivesTheServer(t *testing.T) {
	first, second := ownServer(t), ownServer(t)
	var addr atomic.Value
	addr.Store(first)
	f := fleetOn(t, newClient(t, "name:6379", func(o *redis.Options) {
		o.Dialer = func(ctx context.Context, network, _ string) (net.Conn, error) {
			return (&net.Dialer{}).DialContext(ctx, network, addr.Load().(string))
		}
		o.MaxRetries, o.DialerRetries = -1, 1
	}))
	f.Hurry(50*time.Millisecond, 50*time.Millisecond)
	w := f.wake()
	w.wait("")
	addr.Store("127.0.0.1:1")
	must(t, newClient(t, first).Do(t.Context(), "CLIENT", "KILL", "TYPE", "pubsub").Err())
	must(t, newClient(t, first).Do(t.Context(), "CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes").Err())
	eventually(t, "the server is away", func() bool { return !f.Heard() })
	addr.Store(second)
	eventually(t, "the server is back", f.Heard)
	w.wait("")
}
