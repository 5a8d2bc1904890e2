package reliability_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/roomtoken/roomtoken"
	"github.com/roomtoken/roomtoken/telnyx"
	"github.com/roomtoken/roomtoken/telnyx/telnyxtest"
)

func init() {
	children["frozen"] = frozen
	children["patient"] = patient
	children["starved"] = starved
	children["churn"] = churn
	children["forgetful"] = forgetful
}

// The environment variables with the URL and the API key of the parent's server.
const (
	urlEnv = "RELIABILITY_URL"
	keyEnv = "RELIABILITY_KEY"
)

// child is a child process. It and the test exchange lines of text.
type child struct {
	*testing.T
	cmd   *exec.Cmd
	in    io.WriteCloser
	lines chan string
	log   bytes.Buffer
}

// startChild starts the test binary as one of the children.
func startChild(t *testing.T, name string, server *telnyxtest.Server, env ...string) *child {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	c := &child{T: t, cmd: exec.CommandContext(t.Context(), self), lines: make(chan string, 1000)}
	c.cmd.Env = append(os.Environ(), childEnv+"="+name)
	if server != nil {
		c.cmd.Env = append(c.cmd.Env, urlEnv+"="+server.URL, keyEnv+"="+server.APIKey)
	}
	c.cmd.Env = append(c.cmd.Env, env...)
	c.cmd.Stderr = &c.log
	out, err := c.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if c.in, err = c.cmd.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	if err := c.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		defer close(c.lines)
		scanner := bufio.NewScanner(out)
		for scanner.Scan() {
			c.lines <- scanner.Text()
		}
	}()
	return c
}

// line returns the next line from the child.
func (c *child) line() string {
	c.Helper()
	select {
	case line, ok := <-c.lines:
		if !ok {
			c.cmd.Wait()
			c.Fatalf("the child exited: %v\n%s", c.cmd.ProcessState, c.log.String())
		}
		return line
	case <-time.After(3 * time.Minute):
		c.Fatal("no line from the child within 3 min")
	}
	return ""
}

// await waits for the given line.
func (c *child) await(want string) {
	c.Helper()
	if line := c.line(); line != want {
		c.Fatalf("got line %q from the child, want %q", line, want)
	}
}

// say sends a line to the child.
func (c *child) say(line string) {
	c.Helper()
	if _, err := fmt.Fprintln(c.in, line); err != nil {
		c.Fatal(err)
	}
}

// end waits for the child to exit with status 0.
func (c *child) end() {
	c.Helper()
	c.in.Close()
	for line := range c.lines {
		c.Log(line)
	}
	if err := c.cmd.Wait(); err != nil {
		c.Fatalf("%v\n%s", err, c.log.String())
	}
}

// parent is the connection of a child process to its parent.
type parent struct{ in *bufio.Scanner }

func newParent() parent { return parent{bufio.NewScanner(os.Stdin)} }

func (p parent) say(line string) { fmt.Println(line) }

func (p parent) await(want string) error {
	if !p.in.Scan() || p.in.Text() != want {
		return fmt.Errorf("got line %q from the parent, want %q", p.in.Text(), want)
	}
	return nil
}

// childStack returns a Source and a Manager for the parent's server.
func childStack(config roomtoken.Config) (*telnyx.Source, *roomtoken.Manager, error) {
	source, err := telnyx.NewSource(telnyx.Config{BaseURL: os.Getenv(urlEnv), APIKey: os.Getenv(keyEnv), TokenTTL: lifetime})
	if err != nil {
		return nil, nil, err
	}
	manager, err := roomtoken.NewManager(source, config)
	return source, manager, err
}

// disconnect closes the source's connections and waits until the process has only the
// inherited number of sockets: a connection becomes idle a little after its call.
func disconnect(source *telnyx.Source, inherited int) error {
	for range 1000 {
		source.CloseIdleConnections()
		if openSockets() <= inherited {
			return nil
		}
		time.Sleep(10 * time.Millisecond)
	}
	return errors.New("a connection remains open")
}

// openSockets returns the number of open sockets.
func openSockets() int {
	n := 0
	descriptors, _ := os.ReadDir("/proc/self/fd")
	for _, d := range descriptors {
		if target, err := os.Readlink("/proc/self/fd/" + d.Name()); err == nil && strings.HasPrefix(target, "socket:") {
			n++
		}
	}
	return n
}

// TestStoppedProcess stops a process for longer than the lifetime of its tokens. No later
// call may return a token that has expired meanwhile, neither for busy rooms nor for idle
// ones.
func TestStoppedProcess(t *testing.T) {
	t.Parallel()
	server := telnyxtest.Start(t, telnyxtest.Config{})
	c := startChild(t, "frozen", server)
	c.await("ready")
	for begun := time.Now(); ; c.say("again") {
		before := server.Calls()
		if err := c.cmd.Process.Signal(syscall.SIGSTOP); err != nil {
			t.Fatal(err)
		}
		time.Sleep(lifetime + time.Second)
		if err := c.cmd.Process.Signal(syscall.SIGCONT); err != nil {
			t.Fatal(err)
		}
		n := 0
		for line := c.line(); line != "done"; line = c.line() {
			fields := strings.Fields(line) // room, token, expiry
			expires, err := time.Parse(time.RFC3339Nano, fields[2])
			if err != nil {
				t.Fatal(err)
			}
			if err := server.Verify(fields[0], fields[1]); err != nil && time.Now().Before(expires) {
				t.Errorf("the server refuses the first token of a room after the stop: %v", err)
			}
			n++
		}
		after := server.Calls()
		calls := after.Creates + after.Refreshes - before.Creates - before.Refreshes
		t.Logf("%d calls for %d rooms after the stop", calls, n)
		if most := 4 * n; n == 0 || calls > most {
			t.Errorf("%d calls for %d rooms after the stop, want at most %d", calls, n, most)
		}
		if time.Since(begun) > soak {
			break
		}
	}
	c.end()
	if calls := server.Calls(); calls.MaxInFlight > 2*16 {
		t.Errorf("%d calls in flight, want at most 32", calls.MaxInFlight)
	}
}

// TestStoppedDuringACall stops a process during a source call, for longer than CallTimeout
// plus the grace period for the source to return. Both have passed when the process
// continues. The Manager must not take the source for one that ignores its ctx, and the
// waiters must stay.
func TestStoppedDuringACall(t *testing.T) {
	t.Parallel()
	server := telnyxtest.Start(t, telnyxtest.Config{}) // gets no calls
	for range 5 {
		c := startChild(t, "patient", server)
		c.await("asking")
		time.Sleep(100 * time.Millisecond)
		if err := c.cmd.Process.Signal(syscall.SIGSTOP); err != nil {
			t.Fatal(err)
		}
		time.Sleep(500 * time.Millisecond)
		if err := c.cmd.Process.Signal(syscall.SIGCONT); err != nil {
			t.Fatal(err)
		}
		c.await("served")
		c.end()
	}
}

// hangsOnce is a source whose first call returns when its ctx ends.
type hangsOnce struct{ calls atomic.Int64 }

func (s *hangsOnce) Create(ctx context.Context, _ string) (roomtoken.Grant, error) {
	if s.calls.Add(1) == 1 {
		<-ctx.Done()
		return roomtoken.Grant{}, ctx.Err()
	}
	token := roomtoken.Token{Value: roomtoken.NewSecret("token"), ExpiresAt: time.Now().Add(time.Hour)}
	return roomtoken.Grant{Token: token}, nil
}

func (s *hangsOnce) Refresh(ctx context.Context, room string, _ roomtoken.Token) (roomtoken.Grant, error) {
	return s.Create(ctx, room)
}

// patient gets the token of one room.
func patient() error {
	p := newParent()
	manager, err := roomtoken.NewManager(&hangsOnce{}, roomtoken.Config{CallTimeout: 300 * time.Millisecond, BackoffMin: 10 * time.Millisecond})
	if err != nil {
		return err
	}
	p.say("asking")
	if _, err := manager.Token(context.Background(), "a"); err != nil {
		return errors.Join(err, manager.Close())
	}
	p.say("served")
	return manager.Close()
}

// frozen calls Token for half of its rooms all the time. When time has jumped, it calls
// Token for all rooms and sends the results to its parent.
func frozen() error {
	p := newParent()
	source, manager, err := childStack(roomtoken.Config{MaxConcurrentCalls: 16})
	if err != nil {
		return err
	}
	defer source.CloseIdleConnections()
	rooms := make([]string, 40)
	for i := range rooms {
		rooms[i] = newRoomID()
	}
	ctx := context.Background() // Config.MaxWait limits the calls
	if err := manager.Warm(ctx, rooms...); err != nil {
		return err
	}
	ask := func(room string) (roomtoken.Token, error) {
		before := time.Now()
		tok, err := manager.Token(ctx, room)
		if err != nil {
			return tok, fmt.Errorf("room %s: %w", room, err)
		}
		// The token had even less left when Token returned.
		if left := tok.ExpiresAt.Sub(before); left < margin {
			return tok, fmt.Errorf("room %s: got a token with %v left", room, left)
		}
		return tok, nil
	}
	last := time.Now() // before the parent may stop the process
	p.say("ready")
	for {
		for now := last; now.Sub(last) < lifetime/2; now = time.Now() {
			last = now
			for _, room := range rooms[:len(rooms)/2] {
				if _, err := ask(room); err != nil {
					return err
				}
			}
			time.Sleep(time.Millisecond)
		}
		errs := make([]error, len(rooms))
		lines := make([]string, len(rooms))
		var askers sync.WaitGroup
		for i, room := range rooms {
			askers.Go(func() {
				tok, err := ask(room)
				errs[i] = err
				lines[i] = fmt.Sprintf("%s %s %s", room, tok.Value.Reveal(), tok.ExpiresAt.Format(time.RFC3339Nano))
			})
		}
		askers.Wait()
		if err := errors.Join(errs...); err != nil {
			return err
		}
		for _, line := range lines {
			p.say(line)
		}
		last = time.Now()
		p.say("done")
		if p.await("again") != nil { // the parent is done
			return manager.Close()
		}
	}
}

// TestNoDescriptors runs a process out of file descriptors. Source calls fail, callers of
// rooms with a token are not affected, and all rooms recover once there are descriptors
// again.
func TestNoDescriptors(t *testing.T) {
	t.Parallel()
	server := telnyxtest.Start(t, telnyxtest.Config{})
	c := startChild(t, "starved", server)
	c.end()
	t.Logf("the server counted %d calls", server.Calls().Creates+server.Calls().Refreshes)
}

func starved() error {
	sockets := openSockets()
	source, manager, err := childStack(roomtoken.Config{BackoffMin: 100 * time.Millisecond, BackoffMax: time.Second, MaxConcurrentCalls: 8})
	if err != nil {
		return err
	}
	var warm, cold []string
	for range 20 {
		warm, cold = append(warm, newRoomID()), append(cold, newRoomID())
	}
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	if err := manager.Warm(ctx, warm...); err != nil {
		return err
	}
	if err := disconnect(source, sockets); err != nil {
		return err
	}

	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		return err
	}
	// A limit below the number of open descriptors closes none, but prevents new ones.
	none := syscall.Rlimit{Cur: 3, Max: limit.Max}
	if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &none); err != nil {
		return err
	}
	failed, exhausted := 0, 0 // callers
	for _, room := range cold {
		brief, cancel := context.WithTimeout(ctx, 250*time.Millisecond)
		begun := time.Now()
		_, err := manager.Token(brief, room)
		cancel()
		switch {
		case err == nil: // a connection was still open
			continue
		case time.Since(begun) > 30*time.Second:
			return fmt.Errorf("a caller with a timeout of 250 ms returned after %v", time.Since(begun))
		}
		failed++
		if errors.Is(err, syscall.EMFILE) {
			exhausted++
		}
		for _, room := range warm {
			known, ok := manager.Cached(room)
			if _, err := manager.Token(brief, room); err != nil && ok && time.Until(known.ExpiresAt) > lifetime-usable {
				return fmt.Errorf("room with a token: %w", err)
			}
		}
	}
	if exhausted == 0 {
		return errors.New("no error wraps EMFILE")
	}
	stats := manager.Stats()
	if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		return err
	}
	begun := time.Now()
	if err := manager.Warm(ctx, append(warm, cold...)...); err != nil {
		return fmt.Errorf("after restoring the limit: %w", err)
	}
	fmt.Printf("%d callers failed, %d of them with EMFILE; %d source calls failed; recovery took %.2f s\n",
		failed, exhausted, stats.CreateFailures+stats.RefreshFailures, time.Since(begun).Seconds())
	if err := manager.Close(); err != nil {
		return err
	}
	source.CloseIdleConnections()
	return goleak.Find()
}

// TestChurn creates and closes 10,000 managers, a tenth of them with traffic. They must
// leave neither goroutines nor descriptors nor memory.
func TestChurn(t *testing.T) {
	t.Parallel()
	server := telnyxtest.Start(t, telnyxtest.Config{})
	startChild(t, "churn", server).end()
}

func churn() error {
	const managers = 10_000
	// Warm up: the first ones allocate what the process keeps anyway.
	for i := range managers / 10 {
		if err := liveOnce(i); err != nil {
			return err
		}
	}
	before := takeStock()
	for i := range managers {
		if err := liveOnce(i); err != nil {
			return err
		}
	}
	if err := goleak.Find(); err != nil { // retries for a while
		return err
	}
	after := takeStock()
	fmt.Printf("before: %+v; after %d managers: %+v\n", before, managers, after)
	if after.descriptors > before.descriptors {
		return fmt.Errorf("%d open descriptors before, %d after", before.descriptors, after.descriptors)
	}
	// Detects leaks of 100 bytes per manager.
	if grown := int64(after.heap) - int64(before.heap); grown > 100*managers {
		return fmt.Errorf("the heap grew by %d bytes", grown)
	}
	return nil
}

// liveOnce creates, uses and closes one manager.
func liveOnce(i int) error {
	source, manager, err := childStack(roomtoken.Config{OnEvent: func(roomtoken.Event) {}})
	if err != nil {
		return err
	}
	defer source.CloseIdleConnections()
	if i%10 == 0 {
		var others sync.WaitGroup
		defer others.Wait()
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		for range 3 {
			room := newRoomID()
			others.Go(func() {
				for range manager.Watch(ctx, room) {
					_ = i // discard
				}
			})
			tok, err := manager.Token(ctx, room)
			if err != nil {
				return err
			}
			if i%20 == 0 {
				manager.Invalidate(room, tok) // Close then finds a call in flight
			}
		}
	}
	return manager.Close()
}

type stock struct {
	heap        uint64 // bytes of allocated objects
	goroutines  int
	descriptors int
}

// takeStock measures the resources of the process.
func takeStock() stock {
	for range 3 { // pools and finalizers need more than one
		runtime.GC()
		time.Sleep(50 * time.Millisecond)
	}
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	descriptors, _ := os.ReadDir("/proc/self/fd")
	return stock{m.HeapAlloc, runtime.NumGoroutine(), len(descriptors)}
}

// TestNoTokenIsKept searches the heap of a child process for tokens that it should no
// longer hold. The server that minted them runs in this process.
func TestNoTokenIsKept(t *testing.T) {
	t.Parallel()
	server := telnyxtest.Start(t, telnyxtest.Config{})
	var mu sync.Mutex
	var minted []string
	server.Inject(telnyxtest.Fault{Edit: func(data map[string]any) {
		mu.Lock()
		defer mu.Unlock()
		for _, field := range []string{"token", "refresh_token"} {
			if token, ok := data[field].(string); ok {
				minted = append(minted, token)
			}
		}
	}})
	dump := filepath.Join(t.TempDir(), "heap")
	c := startChild(t, "forgetful", server, "RELIABILITY_DUMP="+dump)

	// found returns how many of the minted tokens are in the heap dump. It searches for
	// their signatures, which are unique: as text, and in binary, as in a packed token.
	found := func() (n, of int) {
		heap, err := os.ReadFile(dump)
		if err != nil {
			t.Fatal(err)
		}
		mu.Lock()
		defer mu.Unlock()
		for _, token := range minted {
			signature := token[strings.LastIndexByte(token, '.')+1:]
			binary, err := base64.RawURLEncoding.DecodeString(signature)
			if err != nil {
				t.Fatal(err)
			}
			if bytes.Contains(heap, []byte(signature)) || bytes.Contains(heap, binary) {
				n++
			}
		}
		return n, len(minted)
	}
	for _, phase := range []struct {
		name string
		kept bool
	}{{"warm", true}, {"forgotten", false}, {"warm again", true}, {"closed", false}} {
		c.await(phase.name)
		n, of := found()
		t.Logf("%s: %d of %d tokens are in the heap", phase.name, n, of)
		switch {
		case phase.kept && n < 2*forgetfulRooms:
			t.Errorf("%s: %d tokens are in the heap, want at least %d: the search does not work", phase.name, n, 2*forgetfulRooms)
		case !phase.kept && n > 0:
			t.Errorf("%s: %d tokens are in the heap, want none", phase.name, n)
		}
		c.say("go on")
	}
	c.end()
}

const forgetfulRooms = 50

func forgetful() error {
	p, sockets := newParent(), openSockets()
	source, manager, err := childStack(roomtoken.Config{OnEvent: func(roomtoken.Event) {}})
	if err != nil {
		return err
	}
	rooms := make([]string, forgetfulRooms)
	for i := range rooms {
		rooms[i] = newRoomID()
	}
	dump := func(phase string) error {
		if err := disconnect(source, sockets); err != nil { // connection buffers hold the last responses
			return err
		}
		takeStock()
		file, err := os.Create(os.Getenv("RELIABILITY_DUMP"))
		if err != nil {
			return err
		}
		defer file.Close()
		debug.WriteHeapDump(file.Fd())
		p.say(phase)
		return p.await("go on")
	}
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
	defer cancel()
	fill := func() error {
		for _, room := range rooms {
			tok, err := manager.Token(ctx, room)
			if err != nil {
				return err
			}
			if rand.IntN(5) == 0 { // the Manager remembers an invalidated token, too
				manager.Invalidate(room, tok)
				if _, err := manager.Token(ctx, room); err != nil {
					return err
				}
			}
		}
		return nil
	}
	if err := fill(); err != nil {
		return err
	}
	if err := dump("warm"); err != nil {
		return err
	}
	for _, room := range rooms {
		manager.Forget(room)
	}
	if err := dump("forgotten"); err != nil {
		return err
	}
	if n := manager.Stats().Rooms; n != 0 {
		return fmt.Errorf("%d rooms remain after Forget", n)
	}
	slices.Reverse(rooms)
	if err := fill(); err != nil {
		return err
	}
	if err := dump("warm again"); err != nil {
		return err
	}
	if err := manager.Close(); err != nil {
		return err
	}
	if err := dump("closed"); err != nil {
		return err
	}
	runtime.KeepAlive(manager)
	runtime.KeepAlive(source)
	return nil
}
