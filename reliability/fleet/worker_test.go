package fleet_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/rpc"
	"os"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/roomtoken/roomtoken"
	"github.com/roomtoken/roomtoken/extra/redisstore"
)

// settings say what a worker does. They travel in its environment.
type settings struct {
	Issuer string
	Stolid bool // the source goes on when its ctx ends

	Addrs          []string // of the servers; of the Sentinels with Master
	Master         string   // the name of the master that Sentinels watch
	Cluster        bool
	Protocol       int
	PoolSize       int
	User, Password string
	Deaf           bool // the client does not end a command with its ctx

	Prefix string
	Keys   [][]byte

	CallTimeout, StoreTimeout time.Duration
}

// client returns the client of the Redis servers.
func (s settings) client() redis.UniversalClient {
	return redis.NewUniversalClient(&redis.UniversalOptions{
		Addrs: s.Addrs, MasterName: s.Master, IsClusterMode: s.Cluster,
		Protocol: s.Protocol, PoolSize: s.PoolSize, Username: s.User, Password: s.Password,
		ContextTimeoutEnabled: !s.Deaf,
	})
}

// Worker is what a worker process does for the test that calls it.
type Worker struct {
	manager *roomtoken.Manager

	mu      sync.Mutex
	events  map[string]int
	traffic *traffic
}

// work runs a worker until the test hangs up.
func work(text string) error {
	var s settings
	if err := json.Unmarshal([]byte(text), &s); err != nil {
		return err
	}
	redis.SetLogger(silent{})
	client := s.client()
	defer client.Close()
	store, err := redisstore.New(client, redisstore.Config{Prefix: s.Prefix, EncryptionKeys: s.Keys})
	if err != nil {
		return err
	}
	w := &Worker{events: map[string]int{}}
	w.manager, err = roomtoken.NewManager(source{s.Issuer, &http.Client{}, s.Stolid}, roomtoken.Config{
		Store: store, CallTimeout: s.CallTimeout, StoreTimeout: s.StoreTimeout, OnEvent: w.count,
	})
	if err != nil {
		return err
	}
	defer w.manager.Close()
	server := rpc.NewServer()
	if err := server.Register(w); err != nil {
		return err
	}
	server.ServeConn(stdio{os.Stdin, os.Stdout})
	return nil
}

// stdio is the connection of a worker to its test.
type stdio struct {
	io.ReadCloser
	io.Writer
}

// silent is a logger for go-redis, which logs each failed dial.
type silent struct{}

func (silent) Printf(context.Context, string, ...any) {}

func (w *Worker) count(e roomtoken.Event) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.events[e.Kind.String()]++
}

// Ask says which tokens a test wants.
type Ask struct {
	Rooms   []string
	Callers int           // of each room at a time
	AtLeast time.Duration // the validity
}

// answer is what a caller of Token got.
type answer struct {
	Token     string
	ExpiresAt time.Time
	Err       string
	Permanent bool // as errors.Is says
	NotFound  bool
	Limited   bool
	Took      time.Duration
}

func (w *Worker) token(ctx context.Context, room string, atLeast time.Duration) answer {
	began := time.Now()
	token, err := w.manager.TokenValidFor(ctx, room, atLeast)
	a := answer{Token: token.Value.Reveal(), ExpiresAt: token.ExpiresAt, Took: time.Since(began)}
	if err != nil {
		a.Err = err.Error()
		a.Permanent = errors.Is(err, roomtoken.ErrPermanent)
		a.NotFound = errors.Is(err, roomtoken.ErrRoomNotFound)
		a.Limited = errors.Is(err, roomtoken.ErrRateLimited)
	}
	return a
}

// Tokens asks for all rooms at a time, each with that many callers. The answers stand in the
// order of the rooms, those of one room together.
func (w *Worker) Tokens(a Ask, answers *[]answer) error {
	a.Callers = max(a.Callers, 1)
	all := make([]answer, len(a.Rooms)*a.Callers)
	var callers sync.WaitGroup
	for i := range all {
		callers.Go(func() { all[i] = w.token(context.Background(), a.Rooms[i/a.Callers], a.AtLeast) })
	}
	callers.Wait()
	*answers = all
	return nil
}

// Cached returns the tokens of the rooms that are in memory, "" for those that are not.
func (w *Worker) Cached(rooms []string, tokens *[]string) error {
	for _, room := range rooms {
		token, _ := w.manager.Cached(room)
		*tokens = append(*tokens, token.Value.Reveal())
	}
	return nil
}

// Refusal is a token that was refused.
type Refusal struct {
	Room, Token string
	Callers     int // how many tell it, each of which then asks for another; 0: one, which does not ask
}

// Invalidate tells the Manager that a token was refused.
func (w *Worker) Invalidate(r Refusal, answers *[]answer) error {
	refused := roomtoken.Token{Value: roomtoken.NewSecret(r.Token)}
	if r.Callers == 0 {
		if !w.manager.Invalidate(r.Room, refused) {
			return errors.New("Invalidate = false")
		}
		return nil
	}
	all := make([]answer, r.Callers)
	var callers sync.WaitGroup
	for i := range all {
		callers.Go(func() {
			w.manager.Invalidate(r.Room, refused)
			all[i] = w.token(context.Background(), r.Room, 0)
		})
	}
	callers.Wait()
	*answers = all
	return nil
}

// RefuseAll refuses each token that it gets for a room, for a while.
func (w *Worker) RefuseAll(room string, _ *struct{}) error {
	ctx, cancel := context.WithTimeout(context.Background(), refuseFor)
	defer cancel()
	for ctx.Err() == nil {
		token, err := w.manager.Token(ctx, room)
		if err == nil {
			w.manager.Invalidate(room, token)
		}
	}
	return nil
}

// refuseFor is how long RefuseAll takes.
const refuseFor = 15 * time.Second

// Statistics are those of a Manager that tests want.
type Statistics struct {
	Creates, Refreshes, Adopted, LeasesLost, Lapses, StoreFailures uint64
	StoreDown, RateLimited                                         bool
	Events                                                         map[string]int
}

// Stats returns the statistics of the Manager.
func (w *Worker) Stats(_ struct{}, s *Statistics) error {
	m := w.manager.Stats()
	*s = Statistics{
		Creates: m.Creates, Refreshes: m.Refreshes, Adopted: m.Adopted, LeasesLost: m.LeasesLost, Lapses: m.Lapses,
		StoreFailures: m.StoreFailures, StoreDown: m.StoreDown, RateLimited: m.RateLimited,
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	s.Events = maps.Clone(w.events)
	return nil
}

// Close closes the Manager.
func (w *Worker) Close(struct{}, *struct{}) error { return w.manager.Close() }

// traffic is what the callers of a service do: they ask for rooms that have a token all the
// time, and now and then for a new one.
type traffic struct {
	stop, done chan struct{}
	report     Report
}

// Report is what came of traffic.
type Report struct {
	Hits, Cold int
	Failures   []string      // some
	Failed     int           // all
	Longest    time.Duration // that a caller of a new room waited
}

// Customers say what traffic is about.
type Customers struct {
	Name  string // makes their new rooms differ from those of others
	Rooms []string
}

// Traffic begins to ask for rooms.
func (w *Worker) Traffic(a Customers, _ *struct{}) error {
	t := &traffic{stop: make(chan struct{}), done: make(chan struct{})}
	w.mu.Lock()
	w.traffic = t
	w.mu.Unlock()
	go func() {
		defer close(t.done)
		var both sync.WaitGroup
		var mu sync.Mutex
		fail := func(room string, a answer) {
			if a.Err == "" {
				return
			}
			mu.Lock()
			defer mu.Unlock()
			if t.report.Failed++; len(t.report.Failures) < 5 {
				t.report.Failures = append(t.report.Failures, room+": "+a.Err)
			}
		}
		both.Go(func() {
			for t.goesOn(20 * time.Millisecond) {
				for _, room := range a.Rooms {
					t.report.Hits++
					fail(room, w.token(context.Background(), room, 0))
				}
			}
		})
		both.Go(func() {
			for t.goesOn(200 * time.Millisecond) {
				t.report.Cold++
				room := fmt.Sprintf("cold room %d of %s", t.report.Cold, a.Name)
				got := w.token(context.Background(), room, 0)
				fail(room, got)
				t.report.Longest = max(t.report.Longest, got.Took)
				w.manager.Forget(room)
			}
		})
		both.Wait()
	}()
	return nil
}

// goesOn pauses, and reports whether the traffic goes on.
func (t *traffic) goesOn(pause time.Duration) bool {
	select {
	case <-t.stop:
		return false
	case <-time.After(pause):
		return true
	}
}

// Quiet ends the traffic and returns what came of it.
func (w *Worker) Quiet(_ struct{}, r *Report) error {
	w.mu.Lock()
	t := w.traffic
	w.mu.Unlock()
	close(t.stop)
	<-t.done
	*r = t.report
	return nil
}
