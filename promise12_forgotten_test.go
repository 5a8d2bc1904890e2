package roomtoken_test

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"runtime"
	"strings"
	"testing"
	"time"
	"unsafe"
	"weak"

	"github.com/roomtoken/roomtoken"
	"github.com/roomtoken/roomtoken/roomtokentest"
)

// Promise 12: nothing keeps the secrets of a forgotten room.

// reachable calls see with every string that is reachable from v without going
// through a closure or a channel, including elements beyond the length of slices.
func reachable(v reflect.Value, see func(string)) {
	type place struct {
		at  uintptr
		typ reflect.Type
	}
	seen := map[place]bool{}
	var walk func(reflect.Value)
	walk = func(v reflect.Value) {
		switch v.Kind() {
		case reflect.String:
			see(v.String())
		case reflect.Pointer:
			if v.Type() == reflect.TypeFor[*source]() {
				return // it records its calls
			}
			if here := (place{v.Pointer(), v.Type()}); !v.IsNil() && !seen[here] {
				seen[here] = true
				walk(v.Elem())
			}
		case reflect.Interface:
			walk(v.Elem())
		case reflect.Struct:
			if strings.HasPrefix(v.Type().String(), "atomic.Pointer[") {
				if p := v.FieldByName("v").UnsafePointer(); p != nil {
					walk(reflect.NewAt(v.Type().Field(0).Type.Elem().Elem(), p))
				}
				return
			}
			for i := range v.NumField() {
				walk(v.Field(i))
			}
		case reflect.Slice:
			if here := (place{v.Pointer(), v.Type()}); v.Cap() > 0 && !seen[here] {
				seen[here] = true
				v = v.Slice(0, v.Cap())
				for i := range v.Len() {
					walk(v.Index(i))
				}
			}
		case reflect.Array:
			for i := range v.Len() {
				walk(v.Index(i))
			}
		case reflect.Map:
			for entries := v.MapRange(); entries.Next(); {
				walk(entries.Key())
				walk(entries.Value())
			}
		}
	}
	walk(v)
}

// A Manager holds no tokens of forgotten rooms, and none after Close.
func TestPromise12WhatIsForgottenIsGone(t *testing.T) {
	within(t, roomtoken.Config{Jitter: -1, MaxRooms: 10, OnEvent: func(roomtoken.Event) {}}, func(t *testing.T, w *world) {
		w.src.on(func(c *sourceCall) (roomtoken.Grant, error) {
			g := w.src.mint(c)
			g.Token.Value = roomtoken.NewSecret(fmt.Sprintf("canary-%s-token", c.room))
			g.RefreshToken.Value = roomtoken.NewSecret(fmt.Sprintf("canary-%s-refresh", c.room))
			return g, nil
		})
		held := func() map[string]bool {
			w.rest()
			rooms := map[string]bool{}
			reachable(reflect.ValueOf(w.m), func(s string) {
				if strings.HasPrefix(s, "canary-") {
					rooms[s] = true
				}
			})
			return rooms
		}
		for i := range 10 {
			w.token(fmt.Sprint("r", i))
		}
		if n := len(held()); n != 20 {
			t.Fatalf("%d tokens of 10 rooms found, want 20: the test proves nothing", n)
		}
		for i := range 5 {
			w.m.Forget(fmt.Sprint("r", i))
		}
		for i := range 3 {
			w.token(fmt.Sprint("r", i, "again")) // in the free slots
		}
		for i := range 5 {
			w.token(fmt.Sprint("more", i)) // three of the others are evicted
		}
		for secret := range held() {
			room := strings.Split(secret, "-")[1]
			if _, ok := w.m.Room(room); !ok {
				t.Errorf("%s is reachable, want it gone", secret)
			}
		}
		w.add(5 * time.Hour) // all are idle and evicted
		if rooms := held(); len(rooms) > 0 {
			t.Errorf("reachable after all rooms were evicted: %v, want none", rooms)
		}
		w.token("last")
		if err := w.m.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
		if rooms := held(); len(rooms) > 0 {
			t.Errorf("reachable after Close: %v, want none", rooms)
		}
	})
}

// uncollected returns a func that reports whether the bytes of value are still in
// memory after a garbage collection. The caller must drop value itself.
func uncollected(value string) func() bool {
	pointer := weak.Make(unsafe.StringData(value))
	return func() bool {
		for range 100 {
			runtime.GC()
			if pointer.Value() == nil {
				return false
			}
			runtime.Gosched() // a goroutine that is about to end may hold it
		}
		return true
	}
}

// secretSource is a source whose tokens and refresh tokens can be watched by the
// garbage collector.
type secretSource struct {
	token, refresh func() bool // the latest: uncollected
	minted         int
}

func (s *secretSource) Create(context.Context, string) (roomtoken.Grant, error) {
	s.minted++
	// Long enough not to share an allocation with others.
	token, refresh := strings.Repeat(fmt.Sprint("token", s.minted), 50), strings.Repeat(fmt.Sprint("refresh", s.minted), 50)
	s.token, s.refresh = uncollected(token), uncollected(refresh)
	return roomtoken.Grant{
		Token:        roomtoken.Token{Value: roomtoken.NewSecret(token), ExpiresAt: time.Now().Add(10 * time.Minute)},
		RefreshToken: roomtoken.Token{Value: roomtoken.NewSecret(refresh)},
	}, nil
}

func (s *secretSource) Refresh(ctx context.Context, room string, _ roomtoken.Token) (roomtoken.Grant, error) {
	return s.Create(ctx, room)
}

// A token that a caller holds points into its room's record and may keep it alive.
// It must not keep the refresh token alive.
func TestPromise12HeldTokenKeepsNoRefreshToken(t *testing.T) {
	for name, end := range map[string]func(*roomtoken.Manager){
		"Forget": func(m *roomtoken.Manager) { m.Forget("r") },
		"Close":  func(m *roomtoken.Manager) { _ = m.Close() },
	} {
		t.Run(name, func(t *testing.T) {
			src := &secretSource{}
			m, err := roomtoken.NewManager(src, roomtoken.Config{})
			if err != nil {
				t.Fatal(err)
			}
			defer m.Close()
			tok, err := m.Token(t.Context(), "r")
			if err != nil {
				t.Fatal(err)
			}
			if !src.refresh() {
				t.Fatal("the room's refresh token was collected: the test proves nothing")
			}
			end(m)
			if src.refresh() {
				t.Errorf("after %s the refresh token is still in memory, want it collected", name)
			}
			if got := tok.Value.Reveal(); !strings.HasPrefix(got, "token1") {
				t.Errorf("the held token is %.10q, want token1...", got)
			}
		})
	}
}

// Nothing keeps the token of a call that has ended, such as a timer that runs until
// CallTimeout.
func TestPromise12EndedCallKeepsNoToken(t *testing.T) {
	src := &secretSource{}
	m, err := roomtoken.NewManager(src, roomtoken.Config{CallTimeout: time.Hour})
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	if _, err := m.Token(t.Context(), "r"); err != nil {
		t.Fatal(err)
	}
	first := src.token
	if !first() {
		t.Fatal("the room's token was collected: the test proves nothing")
	}
	m.Forget("r")
	if first() {
		t.Error("after Forget the token is still in memory, want it collected")
	}
}

// A caller's ctx is not kept for a result that the store does not take.
func TestPromise12EndedCallKeepsNoCtx(t *testing.T) {
	store := &roomtokentest.Store{}
	store.Fail(errors.New("no writes"), -1, roomtokentest.StoreCommit)
	m, err := roomtoken.NewManager(&benchSource{lifetime: time.Hour}, roomtoken.Config{Store: store})
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	value := strings.Repeat("value", 100)
	inMemory := uncollected(value)
	type key struct{}
	if _, err := m.Token(context.WithValue(context.Background(), key{}, value), "r"); err != nil {
		t.Fatal(err)
	}
	if inMemory() {
		t.Error("the values of the caller's ctx are still in memory")
	}
}
