package roomhttp_test

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"
)

// block is a block of a stream.
type block struct {
	comment, id, event, data, retry string
	after                           time.Duration // since the request was sent
}

// stream is a stream that is read as fast as it comes.
type stream struct {
	t      testing.TB
	status int
	header http.Header
	leave  context.CancelFunc // cuts the connection
	blocks chan block         // closed at the end
	err    error              // why it has ended; io.EOF: properly
}

// open opens a stream and waits for its headers.
func (w *world) open(path string, header ...string) *stream {
	w.t.Helper()
	return openStream(w.t, w.client, w.request(http.MethodGet, path, "", header...))
}

func openStream(t testing.TB, client *http.Client, r *http.Request) *stream {
	t.Helper()
	began := time.Now()
	ctx, cancel := context.WithCancel(r.Context())
	resp, err := client.Do(r.WithContext(ctx)) //nolint:bodyclose // whoever reads it closes it
	if err != nil {
		cancel()
		t.Fatal(err)
	}
	s := &stream{t: t, status: resp.StatusCode, header: resp.Header, leave: cancel, blocks: make(chan block, 1<<12)}
	go func() {
		defer close(s.blocks)
		defer resp.Body.Close()
		for lines := bufio.NewReader(resp.Body); ; {
			b, err := readBlock(lines)
			if err != nil {
				s.err = err
				return
			}
			b.after = time.Since(began)
			s.blocks <- b
		}
	}()
	return s
}

// readBlock reads a block. Anything but lines of known fields, each at most once, and an
// empty line behind them is an error.
func readBlock(r *bufio.Reader) (b block, err error) {
	fields := map[string]*string{"": &b.comment, "id": &b.id, "event": &b.event, "data": &b.data, "retry": &b.retry}
	for n := 0; ; n++ {
		line, err := r.ReadString('\n')
		if err != nil {
			if line != "" || n > 0 {
				err = errors.New("the stream ends within a block")
			}
			return block{}, err
		}
		if line == "\n" {
			if n == 0 {
				return block{}, errors.New("an empty block")
			}
			return b, nil
		}
		name, value, _ := strings.Cut(strings.TrimSuffix(line, "\n"), ": ")
		if line[0] == ':' {
			name, value = "", strings.TrimSuffix(line[2:], "\n")
		}
		field := fields[name]
		if field == nil || *field != "" || strings.Contains(value, "\r") {
			return block{}, errors.New("unexpected line: " + line)
		}
		*field = value
	}
}

// next returns the next block. It fails the test if the stream ends before.
func (s *stream) next() block {
	s.t.Helper()
	b, ok := <-s.blocks
	if !ok {
		s.t.Fatal("the stream has ended")
	}
	return b
}

// nextEvent returns the next block that is no heartbeat. It fails the test if none comes
// in 10,000 heartbeats.
func (s *stream) nextEvent() block {
	s.t.Helper()
	for range 10_000 {
		if b := s.next(); b.event != "" {
			return b
		}
	}
	s.t.Fatal("no event comes")
	return block{}
}

// token returns the token of the next event, which must be one.
func (s *stream) token() string {
	s.t.Helper()
	b := s.nextEvent()
	if b.event != "token" {
		s.t.Fatalf("%+v, want a token", b)
	}
	tok, _ := decode(s.t, b.data)["token"].(string)
	return tok
}

// wantEnd fails the test unless the next event is the end of the stream, with that data.
func (s *stream) wantEnd(data string) {
	s.t.Helper()
	if b := s.nextEvent(); b.event != "end" || b.data != data {
		s.t.Fatalf("%+v, want an end with %s", b, data)
	}
	s.wantEOF()
}

// wantEOF fails the test unless the stream has no further block and ends properly.
func (s *stream) wantEOF() {
	s.t.Helper()
	if b, ok := <-s.blocks; ok {
		s.t.Fatalf("%+v, want the end of the stream", b)
	}
	if !errors.Is(s.err, io.EOF) {
		s.t.Fatal(s.err)
	}
}

// rest returns the blocks until the stream ends, whichever way. It fails the test if that
// are more than 10,000.
func (s *stream) rest() (blocks []block) {
	s.t.Helper()
	for b := range s.blocks {
		if blocks = append(blocks, b); len(blocks) == 10_000 {
			s.t.Fatal("the stream does not end")
		}
	}
	return blocks
}

// wantQuiet fails the test if an event has come.
func (s *stream) wantQuiet() {
	s.t.Helper()
	for {
		select {
		case b, ok := <-s.blocks:
			if !ok {
				s.t.Fatal("the stream has ended")
			}
			if b.event != "" {
				s.t.Fatalf("unexpected event: %+v", b)
			}
		default:
			return
		}
	}
}
