package roomtoken_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/roomtoken/roomtoken"
)

// The scenarios of this file run in fake time, on the real clock type, with a source
// that takes time.

// town is a Manager for many rooms whose source the test decides.
type town struct {
	*testing.T
	m     *roomtoken.Manager
	calls atomic.Int64
	last  atomic.Int64 // calls that failed

	mu   sync.Mutex
	call func(ctx context.Context, room string) error // takes its time; nil: a token at once
}

// townSource is the town as a source.
type townSource struct{ *town }

func (s townSource) Create(ctx context.Context, room string) (roomtoken.Grant, error) {
	s.calls.Add(1)
	s.mu.Lock()
	call := s.call
	s.mu.Unlock()
	began := time.Now()
	if call != nil {
		if err := call(ctx, room); err != nil {
			s.last.Add(1)
			return roomtoken.Grant{}, err
		}
	}
	return roomtoken.Grant{
		Token: roomtoken.Token{Value: roomtoken.NewSecret(fmt.Sprint(room, s.calls.Load())), ExpiresAt: began.Add(10 * time.Minute)},
	}, nil
}

func (s townSource) Refresh(ctx context.Context, room string, _ roomtoken.Token) (roomtoken.Grant, error) {
	return s.Create(ctx, room)
}

// inTown runs the test in a bubble.
func inTown(t *testing.T, config roomtoken.Config, test func(tn *town)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		tn := &town{T: t}
		var err error
		if tn.m, err = roomtoken.NewManager(townSource{tn}, config); err != nil {
			t.Fatal(err)
		}
		test(tn)
		tn.on(nil)
		for _, fault := range tn.m.CheckInvariants() {
			t.Error(fault)
		}
		_ = tn.m.Close()
		time.Sleep(time.Hour) // what hangs returns
	})
}

// on sets what a call does.
func (tn *town) on(call func(ctx context.Context, room string) error) {
	tn.mu.Lock()
	defer tn.mu.Unlock()
	tn.call = call
}

// takes sleeps unless the ctx ends first.
func takes(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// watch watches so many rooms.
func (tn *town) watch(prefix string, rooms int) {
	for i := range rooms {
		go func() {
			for range tn.m.Watch(context.Background(), fmt.Sprint(prefix, i)) {
				_ = i
			}
		}()
	}
	synctest.Wait()
}

var errBroken = errors.New("this room is broken")

func TestFairNeighbours(t *testing.T) {
	kinds := map[string]func(ctx context.Context) error{
		"fail":      func(context.Context) error { return errBroken },
		"are slow":  func(ctx context.Context) error { _ = takes(ctx, 3*time.Second); return errBroken },
		"hang":      func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() },
		"panic":     func(context.Context) error { panic("broken") },
		"refused":   func(context.Context) error { return roomtoken.Permanent(errBroken) },
		"not found": func(context.Context) error { return fmt.Errorf("%w: x", roomtoken.ErrRoomNotFound) },
	}
	for name, broken := range kinds {
		for _, n := range []int{20, 300} {
			t.Run(fmt.Sprint(name, n), func(t *testing.T) {
				inTown(t, roomtoken.Config{}, func(tn *town) {
					tn.on(func(ctx context.Context, room string) error {
						if room[0] == 'b' {
							return broken(ctx)
						}
						return takes(ctx, 100*time.Millisecond)
					})
					tn.watch("broken", n)
					worst := time.Duration(0)
					for i := range 30 {
						time.Sleep(7 * time.Second)
						began := time.Now()
						_, err := tn.m.Token(context.Background(), fmt.Sprint("healthy", i))
						if err != nil {
							tn.Errorf("healthy room %d: %v", i, err)
						}
						worst = max(worst, time.Since(began))
					}
					if bound := 5*time.Second + 2*10*time.Second; worst > bound {
						tn.Errorf("a healthy room waited for %v, want %v at most", worst, bound)
					}
					tn.Logf("worst %v, %d calls", worst, tn.calls.Load())
				})
			})
		}
	}
}

func TestFairWrongKey(t *testing.T) {
	inTown(t, roomtoken.Config{}, func(tn *town) {
		var wrong atomic.Bool
		wrong.Store(true)
		tn.on(func(ctx context.Context, _ string) error {
			if err := takes(ctx, 50*time.Millisecond); err != nil {
				return err
			}
			if wrong.Load() {
				return fmt.Errorf("%w: 401", roomtoken.ErrUnauthorized)
			}
			return nil
		})
		tn.watch("r", 5000)
		time.Sleep(time.Minute)
		calls := tn.calls.Load()
		if calls > 100 {
			tn.Errorf("%d calls in the first minute with a wrong key", calls)
		}
		_, err := tn.m.Token(context.Background(), "new")
		if !errors.Is(err, roomtoken.ErrUnauthorized) {
			tn.Errorf("a caller got %v, want ErrUnauthorized", err)
		}
		wrong.Store(false)
		began := time.Now()
		for {
			time.Sleep(time.Second)
			served := 0
			for i := range 5000 {
				if _, ok := tn.m.Cached(fmt.Sprint("r", i)); ok {
					served++
				}
			}
			if served == 5000 {
				break
			}
			if time.Since(began) > 5*time.Minute {
				tn.Fatalf("%d of 5000 rooms have a token five minutes after the key was mended", served)
			}
		}
		tn.Logf("%d calls in the first minute, mended in %v", calls, time.Since(began))
	})
}

func TestFairRecoverySlots(t *testing.T) {
	inTown(t, roomtoken.Config{}, func(tn *town) {
		var up atomic.Bool
		var busy atomic.Int64
		tn.on(func(ctx context.Context, _ string) error {
			if !up.Load() {
				_ = takes(ctx, 50*time.Millisecond)
				return errors.New("down")
			}
			defer busy.Add(-1)
			if busy.Add(1) > 8 {
				_ = takes(ctx, 10*time.Millisecond)
				return errors.New("too busy")
			}
			return takes(ctx, 50*time.Millisecond)
		})
		tn.watch("r", 5000)
		time.Sleep(10 * time.Minute)
		up.Store(true)
		tn.calls.Store(0)
		tn.last.Store(0)
		took := tn.allServed("r", 5000, 10*time.Minute)
		tn.Logf("ideal 31 s: %v, %d calls, %d failed", took, tn.calls.Load(), tn.last.Load())
		if took > 62*time.Second+40*time.Second || tn.last.Load() > tn.calls.Load()/20 {
			tn.Error("too slow or too many refused")
		}
	})
}

func TestFairRecoveryRate(t *testing.T) {
	inTown(t, roomtoken.Config{}, func(tn *town) {
		var up atomic.Bool
		var mu sync.Mutex
		budget, at := 20.0, time.Now()
		tn.on(func(ctx context.Context, _ string) error {
			_ = takes(ctx, 5*time.Millisecond)
			if !up.Load() {
				return errors.New("down")
			}
			mu.Lock()
			defer mu.Unlock()
			budget, at = min(budget+20*time.Since(at).Seconds(), 20), time.Now()
			if budget < 1 {
				return roomtoken.RetryAfter(fmt.Errorf("%w: 429", roomtoken.ErrRateLimited), time.Second)
			}
			budget--
			return nil
		})
		tn.watch("r", 2000)
		time.Sleep(10 * time.Minute)
		up.Store(true)
		tn.calls.Store(0)
		tn.last.Store(0)
		took := tn.allServed("r", 2000, 10*time.Minute)
		tn.Logf("ideal 100 s: %v, %d calls, %d failed", took, tn.calls.Load(), tn.last.Load())
		if took > 200*time.Second || tn.last.Load() > tn.calls.Load()/20 {
			tn.Error("too slow or too many refused")
		}
	})
}

// allServed waits until all rooms have a token, and returns how long that took.
func (tn *town) allServed(prefix string, rooms int, within time.Duration) time.Duration {
	began := time.Now()
	for {
		served := 0
		for i := range rooms {
			if _, ok := tn.m.Cached(fmt.Sprint(prefix, i)); ok {
				served++
			}
		}
		if served == rooms {
			return time.Since(began)
		}
		if time.Since(began) > within {
			tn.Fatalf("%d of %d rooms have a token after %v: %+v", served, rooms, within, tn.m.Stats())
		}
		time.Sleep(500 * time.Millisecond)
	}
}

func TestFairOverload(t *testing.T) {
	for load, want := range map[float64]float64{0.9: 0.98, 1.1: 0.80, 2.0: 0.42} {
		t.Run(fmt.Sprint(load), func(t *testing.T) {
			inTown(t, roomtoken.Config{MaxRooms: -1}, func(tn *town) {
				tn.on(func(ctx context.Context, _ string) error { return takes(ctx, time.Second) })
				var asked, served atomic.Int64
				gap := time.Duration(float64(time.Second) / (64 * load))
				began := time.Now()
				var all sync.WaitGroup
				for i := 0; time.Since(began) < 5*time.Minute; i++ {
					time.Sleep(gap)
					second := time.Since(began) > 150*time.Second
					all.Go(func() {
						_, err := tn.m.Token(context.Background(), fmt.Sprint("cold", i))
						if second {
							asked.Add(1)
							if err == nil {
								served.Add(1)
							}
						}
					})
				}
				all.Wait()
				share := float64(served.Load()) / float64(asked.Load())
				tn.Logf("load %v: %.3f served", load, share)
				if share < want {
					tn.Errorf("load %v: %.3f of the callers were served, want %v", load, share, want)
				}
			})
		})
	}
}

func TestFairCallersAfterAnOutage(t *testing.T) {
	inTown(t, roomtoken.Config{}, func(tn *town) {
		tn.on(func(ctx context.Context, _ string) error { return takes(ctx, time.Millisecond) })
		tn.watch("r", 10_000)
		time.Sleep(time.Minute)
		tn.on(func(ctx context.Context, _ string) error {
			_ = takes(ctx, 500*time.Millisecond)
			return errors.New("down")
		})
		time.Sleep(time.Hour)
		tn.on(func(ctx context.Context, _ string) error { return takes(ctx, 500*time.Millisecond) })
		for !tn.recovering() {
			time.Sleep(100 * time.Millisecond)
		}
		var all sync.WaitGroup
		var worst, failed atomic.Int64
		for i := range 40 {
			all.Go(func() {
				began := time.Now()
				_, err := tn.m.Token(context.Background(), fmt.Sprint("cold", i))
				if err != nil {
					failed.Add(1)
				}
				for w := worst.Load(); int64(time.Since(began)) > w; w = worst.Load() {
					worst.CompareAndSwap(w, int64(time.Since(began)))
				}
			})
		}
		all.Wait()
		tn.Logf("worst %v, %d failed", time.Duration(worst.Load()), failed.Load())
		if failed.Load() > 0 {
			tn.Errorf("%d of 40 callers failed", failed.Load())
		}
	})
}

// recovering reports whether calls have come back.
func (tn *town) recovering() bool { return !tn.m.Stats().Probing }

// TestFairManyInnocentsWait lets two thousand callers of new rooms wait in an outage:
// those who stay do not make the scheduler spin.
func TestFairManyInnocentsWait(t *testing.T) {
	inTown(t, roomtoken.Config{MaxWait: time.Minute}, func(tn *town) {
		tn.on(func(ctx context.Context, _ string) error {
			_ = takes(ctx, 10*time.Millisecond)
			return errors.New("down")
		})
		for i := range 10 {
			go func() { _, _ = tn.m.Token(context.Background(), fmt.Sprint("first", i)) }()
		}
		time.Sleep(30 * time.Second)
		var all sync.WaitGroup
		began := time.Now()
		for i := range 2000 {
			all.Go(func() { _, _ = tn.m.Token(context.Background(), fmt.Sprint("innocent", i)) })
		}
		all.Wait()
		if took := time.Since(began); took > time.Minute {
			tn.Errorf("they waited for %v, want MaxWait at most", took)
		}
		if calls := tn.calls.Load(); calls > 200 {
			tn.Errorf("%d calls in a minute and a half of an outage, want one a second", calls)
		}
	})
}
