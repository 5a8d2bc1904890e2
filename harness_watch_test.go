package roomtoken_test

import (
	"context"
	"iter"
	"slices"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/roomtoken/roomtoken"
)

// watched collects the pairs that a watch yields.
type watched struct {
	done   chan struct{} // closed when the watch has ended
	cancel context.CancelCauseFunc

	mu    sync.Mutex
	pairs []answer
}

// watch watches a room in the background, until the test cancels it or closes the
// Manager. body runs in the body of the loop; it may be nil.
func (w *world) watch(room string, body func(roomtoken.Token, error)) *watched {
	return w.watchWith(context.Background(), room, body)
}

// watchWith is watch with a parent for the watch's ctx.
func (w *world) watchWith(ctx context.Context, room string, body func(roomtoken.Token, error)) *watched {
	ctx, cancel := context.WithCancelCause(ctx)
	v := &watched{done: make(chan struct{}), cancel: cancel}
	go func() {
		defer close(v.done)
		watch := w.m.Watch(ctx, room)
		if watchBySubscription {
			watch = w.subscribe(ctx, room)
		}
		for tok, err := range watch {
			v.mu.Lock()
			v.pairs = append(v.pairs, answer{tok, err, w.clk.elapsed()})
			v.mu.Unlock()
			if body != nil {
				body(tok, err)
			}
		}
	}()
	synctest.Wait()
	return v
}

// watchBySubscription makes watch use Subscribe in place of Watch.
var watchBySubscription bool

// subscribe returns a watch like that of Manager.Watch that uses Subscribe.
func (w *world) subscribe(ctx context.Context, room string) iter.Seq2[roomtoken.Token, error] {
	return func(yield func(roomtoken.Token, error) bool) {
		sub := w.m.Subscribe(ctx, room)
		defer sub.Close()
		for !sub.Ended() {
			<-sub.Changed() // nothing else may be needed
			if tok, err, ok := sub.Next(); ok && !yield(tok, err) {
				return
			}
		}
	}
}

// all returns the pairs so far.
func (v *watched) all() []answer {
	synctest.Wait()
	v.mu.Lock()
	defer v.mu.Unlock()
	return slices.Clone(v.pairs)
}

// seen returns the values of the tokens that were yielded, and "error" for errors.
func (v *watched) seen() []string {
	var seen []string
	for _, p := range v.all() {
		if p.err != nil {
			seen = append(seen, "error")
		} else {
			seen = append(seen, p.tok.Value.Reveal())
		}
	}
	return seen
}

// last returns the last pair.
func (v *watched) last() answer {
	all := v.all()
	if len(all) == 0 {
		return answer{}
	}
	return all[len(all)-1]
}

func (v *watched) ended() bool {
	synctest.Wait()
	select {
	case <-v.done:
		return true
	default:
		return false
	}
}

// wantSeen fails the test unless seen returns want.
func wantSeen(t *testing.T, when string, v *watched, want ...string) {
	t.Helper()
	if got := v.seen(); !slices.Equal(got, want) {
		t.Fatalf("%s: watch yielded %v, want %v", when, got, want)
	}
	for _, p := range v.all() {
		if (p.err == nil) == p.tok.IsZero() {
			t.Fatalf("%s: watch yielded (%v, %v), want either a token or an error", when, p.tok, p.err)
		}
	}
}
