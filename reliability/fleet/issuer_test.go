package fleet_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/roomtoken/roomtoken"
)

// issuer is the HTTP API that gives out the tokens. It rotates refresh tokens: each is good
// for one refresh, and each use of it besides is noted.
type issuer struct {
	url      string
	lifetime time.Duration

	mu      sync.Mutex
	rooms   map[string]*issued
	tokens  map[string]minted        // what was given out, by token
	holds   map[string]chan struct{} // rooms whose calls wait
	passed  []func()                 // ends the holds of calls that still wait
	again   map[string]string        // rooms that get a token which was given out before
	arrived chan struct{}            // closed, and made anew, with each call
	refuse  func(room string) (status int, retryAfter time.Duration)
	spent   []string // rooms of which a refresh token was used twice
}

// issued is what an issuer knows of a room.
type issued struct {
	creates, refreshes int
	generations        map[int]int // how many refreshes were made with the refresh token of a generation
	live               map[string]int
}

// minted says for which room a token is, and when it ends.
type minted struct {
	room string
	ends time.Time
}

// request is what a worker sends to an issuer.
type request struct {
	Room    []byte // may be no UTF-8
	Refresh string
}

// grant is the answer of an issuer.
type grant struct {
	Token, Refresh string
	Lifetime       time.Duration
}

// startIssuer starts an issuer of tokens that live for so long.
func startIssuer(t *testing.T, lifetime time.Duration) *issuer {
	t.Helper()
	i := &issuer{
		lifetime: lifetime,
		rooms:    map[string]*issued{}, tokens: map[string]minted{}, holds: map[string]chan struct{}{},
		again:   map[string]string{},
		arrived: make(chan struct{}),
	}
	server := httptest.NewServer(i)
	i.url = server.URL
	t.Cleanup(func() {
		i.releaseAll()
		server.CloseClientConnections()
		server.Close()
	})
	return i
}

// ServeHTTP answers a call: a refresh if there is a refresh token, else a create.
func (i *issuer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	var ask request
	if err := json.NewDecoder(r.Body).Decode(&ask); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	room := string(ask.Room)
	refused, retryAfter, held := i.arrive(room, ask.Refresh)
	if refused != 0 {
		if retryAfter > 0 {
			w.Header().Set("Retry-After", strconv.Itoa(int(retryAfter.Seconds())))
		}
		http.Error(w, "refused", refused)
		return
	}
	if held != nil {
		<-held // what the client does meanwhile does not matter: the call has arrived
	}
	g, ok := i.mint(room, ask.Refresh)
	if !ok {
		http.Error(w, "spent", http.StatusConflict)
		return
	}
	_ = json.NewEncoder(w).Encode(g)
}

// arrive notes a call, and says whether it is refused, or has to wait.
func (i *issuer) arrive(room, refresh string) (refused int, retryAfter time.Duration, held chan struct{}) {
	i.mu.Lock()
	defer i.mu.Unlock()
	known := i.rooms[room]
	if known == nil {
		known = &issued{generations: map[int]int{}, live: map[string]int{}}
		i.rooms[room] = known
	}
	if refresh == "" {
		known.creates++
	} else {
		known.refreshes++
	}
	close(i.arrived)
	i.arrived = make(chan struct{})
	if i.refuse != nil {
		refused, retryAfter = i.refuse(room)
	}
	return refused, retryAfter, i.holds[room]
}

// mint returns the token that a call brings; false: its refresh token was used before.
func (i *issuer) mint(room, refresh string) (g grant, ok bool) {
	i.mu.Lock()
	defer i.mu.Unlock()
	known, generation := i.rooms[room], 0
	if refresh != "" {
		if generation, ok = known.live[refresh]; !ok {
			i.spent = append(i.spent, room)
			return grant{}, false
		}
		delete(known.live, refresh)
		known.generations[generation]++
		generation++
	}
	n := len(i.tokens)
	g = grant{Token: fmt.Sprintf("token-%d", n), Refresh: fmt.Sprintf("refresh-%d", n), Lifetime: i.lifetime}
	if again, ok := i.again[room]; ok {
		g.Token = again
	}
	i.tokens[g.Token] = minted{room, time.Now().Add(i.lifetime)}
	known.live[g.Refresh] = generation
	return g, true
}

// repeat makes each call for a room bring a token that was given out before; "": not any more.
func (i *issuer) repeat(room, token string) {
	i.mu.Lock()
	defer i.mu.Unlock()
	if token == "" {
		delete(i.again, room)
		return
	}
	i.again[room] = token
}

// know makes the issuer one that has given out a token in an earlier life, as it does: with a
// refresh token of the same number.
func (i *issuer) know(room, token string) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.tokens[token] = minted{room, time.Now().Add(i.lifetime)}
	refresh := "refresh" + strings.TrimPrefix(token, "token")
	i.rooms[room] = &issued{generations: map[int]int{}, live: map[string]int{refresh: 0}}
}

// hold makes the calls for a room wait until release is called.
func (i *issuer) hold(room string) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.holds[room] = make(chan struct{})
}

// pass lets later calls for a room pass. Those that wait go on waiting, until the function is
// called that it returns.
func (i *issuer) pass(room string) (release func()) {
	i.mu.Lock()
	defer i.mu.Unlock()
	held := i.holds[room]
	delete(i.holds, room)
	release = sync.OnceFunc(func() { close(held) })
	i.passed = append(i.passed, release)
	return release
}

// releaseAll ends all holds.
func (i *issuer) releaseAll() {
	i.mu.Lock()
	defer i.mu.Unlock()
	for room, held := range i.holds {
		close(held)
		delete(i.holds, room)
	}
	for _, release := range i.passed {
		release()
	}
}

// refuseWith makes answer decide which calls fail, and how; status 0: it does not.
func (i *issuer) refuseWith(answer func(room string) (status int, retryAfter time.Duration)) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.refuse = answer
}

// calls returns how many calls have arrived for the rooms.
func (i *issuer) calls(rooms ...string) (creates, refreshes int) {
	i.mu.Lock()
	defer i.mu.Unlock()
	for _, room := range rooms {
		if known := i.rooms[room]; known != nil {
			creates += known.creates
			refreshes += known.refreshes
		}
	}
	return creates, refreshes
}

// renewed returns how many refreshes were made with the refresh tokens of a generation; those
// that a create brings are generation 0.
func (i *issuer) renewed(generation int, rooms ...string) (refreshes int) {
	i.mu.Lock()
	defer i.mu.Unlock()
	for _, room := range rooms {
		if known := i.rooms[room]; known != nil {
			refreshes += known.generations[generation]
		}
	}
	return refreshes
}

// spentTwice returns the rooms of which a refresh token was used twice.
func (i *issuer) spentTwice() []string {
	i.mu.Lock()
	defer i.mu.Unlock()
	return append([]string(nil), i.spent...)
}

// check returns what is wrong with a token that a worker hands out: it must be the room's,
// and must not be taken for one that lives longer than it does.
func (i *issuer) check(room string, got answer) error {
	i.mu.Lock()
	defer i.mu.Unlock()
	switch of, ok := i.tokens[got.Token]; {
	case !ok || of.room != room:
		return fmt.Errorf("room %q: got %q, which is not its token", room, got.Token)
	case got.ExpiresAt.After(of.ends):
		return fmt.Errorf("room %q: the token is taken for one that lives %v longer than it does", room, got.ExpiresAt.Sub(of.ends))
	}
	return nil
}

// await waits until so many calls have arrived for a room.
func (i *issuer) await(t *testing.T, room string, calls int) {
	t.Helper()
	timeout := time.After(patience)
	for {
		i.mu.Lock()
		arrived, n := i.arrived, 0
		if known := i.rooms[room]; known != nil {
			n = known.creates + known.refreshes
		}
		i.mu.Unlock()
		if n >= calls {
			return
		}
		select {
		case <-arrived:
		case <-timeout:
			t.Fatalf("%d calls for %q have arrived, want %d", n, room, calls)
		}
	}
}

// source is the TokenSource of a worker: the client of an issuer.
type source struct {
	url    string
	http   *http.Client
	stolid bool // its calls go on when their ctx ends
}

func (s source) Create(ctx context.Context, room string) (roomtoken.Grant, error) {
	return s.call(ctx, room, "")
}

func (s source) Refresh(ctx context.Context, room string, refresh roomtoken.Token) (roomtoken.Grant, error) {
	return s.call(ctx, room, refresh.Value.Reveal())
}

func (s source) call(ctx context.Context, room, refresh string) (roomtoken.Grant, error) {
	if s.stolid {
		ctx = context.WithoutCancel(ctx)
	}
	body, err := json.Marshal(request{[]byte(room), refresh})
	if err != nil {
		return roomtoken.Grant{}, err
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, s.url, strings.NewReader(string(body)))
	if err != nil {
		return roomtoken.Grant{}, err
	}
	began := time.Now()
	answer, err := s.http.Do(r)
	if err != nil {
		return roomtoken.Grant{}, err
	}
	defer answer.Body.Close()
	switch answer.StatusCode {
	case http.StatusOK:
	case http.StatusConflict:
		return roomtoken.Grant{}, roomtoken.ErrRefreshRejected
	case http.StatusNotFound:
		return roomtoken.Grant{}, roomtoken.ErrRoomNotFound
	case http.StatusTooManyRequests:
		seconds, _ := strconv.Atoi(answer.Header.Get("Retry-After"))
		return roomtoken.Grant{}, roomtoken.RetryAfter(roomtoken.ErrRateLimited, time.Duration(seconds)*time.Second)
	default:
		return roomtoken.Grant{}, fmt.Errorf("the issuer answers %s", answer.Status)
	}
	var g grant
	if err := json.NewDecoder(answer.Body).Decode(&g); err != nil {
		return roomtoken.Grant{}, err
	}
	return roomtoken.Grant{
		Token:        roomtoken.Token{Value: roomtoken.NewSecret(g.Token), ExpiresAt: began.Add(g.Lifetime)},
		RefreshToken: roomtoken.Token{Value: roomtoken.NewSecret(g.Refresh)},
	}, nil
}
