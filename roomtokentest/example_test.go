package roomtokentest_test

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/benbjohnson/clock"

	"github.com/roomtoken/roomtoken"
	"github.com/roomtoken/roomtoken/roomtokentest"
)

func ExampleSource() {
	ctx, mock := context.Background(), clock.NewMock()
	src := &roomtokentest.Source{Clock: mock, TokenTTL: time.Minute}

	grant, _ := src.Create(ctx, "lobby")
	fmt.Println(grant.Token.Value.Reveal(), "until", grant.Token.ExpiresAt.UTC().Format(time.TimeOnly))

	mock.Add(40 * time.Second)
	grant, _ = src.Refresh(ctx, "lobby", grant.RefreshToken)
	fmt.Println(grant.Token.Value.Reveal(), "until", grant.Token.ExpiresAt.UTC().Format(time.TimeOnly))

	fmt.Println(src.Creates(), "create,", src.Refreshes(), "refresh")
	// Output:
	// token 1 of lobby until 00:01:00
	// token 2 of lobby until 00:01:40
	// 1 create, 1 refresh
}

func ExampleSource_Fail() {
	ctx, src := context.Background(), &roomtokentest.Source{}
	src.Fail(roomtoken.RetryAfter(errors.New("busy"), time.Minute), 2)
	for range 3 {
		grant, err := src.Create(ctx, "lobby")
		fmt.Printf("%v, %q\n", err, grant.Token.Value.Reveal())
	}
	// Output:
	// busy, ""
	// busy, ""
	// <nil>, "token 1 of lobby"
}

// The next Refresh is rejected, and the Create after it returns no refresh token.
func ExampleSource_Next() {
	ctx, src := context.Background(), &roomtokentest.Source{}
	grant, _ := src.Create(ctx, "lobby")
	src.Next(
		roomtokentest.Outcome{On: roomtokentest.Refresh, Err: roomtoken.ErrRefreshRejected},
		roomtokentest.Outcome{On: roomtokentest.Create, Do: func(ctx context.Context, call roomtokentest.Call) (roomtoken.Grant, error) {
			grant := src.Mint(call.Room)
			grant.RefreshToken = roomtoken.Token{}
			return grant, nil
		}},
	)

	_, err := src.Refresh(ctx, "lobby", grant.RefreshToken)
	fmt.Println(err)
	grant, _ = src.Create(ctx, "lobby")
	fmt.Println(grant.Token.Value.Reveal(), grant.RefreshToken.IsZero())
	// Output:
	// roomtoken: refresh token rejected
	// token 2 of lobby true
}

// A call stays in flight while the test inspects the Source.
func ExampleSource_Hold() {
	ctx, src := context.Background(), &roomtokentest.Source{}
	hold := src.Hold("lobby")
	done := make(chan error)
	go func() {
		_, err := src.Create(ctx, "lobby")
		done <- err
	}()

	if err := src.WaitCalls(ctx, 1); err != nil {
		fmt.Println(err)
	}
	fmt.Println("in flight:", src.InFlight())
	hold.Release()
	fmt.Println("result:", <-done)
	fmt.Println("in flight:", src.InFlight())
	// Output:
	// in flight: 1
	// result: <nil>
	// in flight: 0
}

// With Rotate, a refresh token is good for one Refresh.
func ExampleSource_rotate() {
	ctx, src := context.Background(), &roomtokentest.Source{Rotate: true}
	first, _ := src.Create(ctx, "lobby")
	second, _ := src.Refresh(ctx, "lobby", first.RefreshToken)

	_, err := src.Refresh(ctx, "lobby", first.RefreshToken)
	fmt.Println("the first one is rejected:", errors.Is(err, roomtoken.ErrRefreshRejected))
	_, err = src.Refresh(ctx, "lobby", second.RefreshToken)
	fmt.Println("the second one:", err)
	// Output:
	// the first one is rejected: true
	// the second one: <nil>
}

// Two processes share a room: the second one waits for the first, and gets its token.
func ExampleStore() {
	ctx, mock := context.Background(), clock.NewMock()
	first := &roomtokentest.Store{Clock: mock}
	second := first.Process()

	entry, _ := first.Acquire(ctx, roomtoken.Ask{RoomID: "lobby", ID: "1", TTL: 10 * time.Second})
	lease := entry.Lease
	mock.Add(4 * time.Second)
	entry, _ = second.Acquire(ctx, roomtoken.Ask{RoomID: "lobby", ID: "2", TTL: 10 * time.Second})
	fmt.Println("the other has it for", entry.Busy)

	_, _ = first.Commit(ctx, lease, roomtoken.Result{Record: roomtoken.Record{
		Version:  lease.Version + 1,
		Token:    roomtoken.NewSecret("token of lobby"),
		Began:    lease.Granted,
		Lifetime: time.Minute,
	}})
	entry, _ = second.Acquire(ctx, roomtoken.Ask{RoomID: "lobby", ID: "3", TTL: 10 * time.Second})
	fmt.Println(entry.Record.Token.Reveal())
	// Output:
	// the other has it for 6s
	// token of lobby
}

// The answer to the next Commit of one process is lost: it is on its own, but the others
// have the record.
func ExampleStore_Next() {
	ctx, store := context.Background(), &roomtokentest.Store{}
	store.Next(roomtokentest.StoreFault{On: roomtokentest.StoreCommit, Err: errors.New("connection reset"), After: true})

	entry, _ := store.Acquire(ctx, roomtoken.Ask{RoomID: "lobby", ID: "1", TTL: time.Minute})
	_, err := store.Commit(ctx, entry.Lease, roomtoken.Result{Record: roomtoken.Record{
		Version:  1,
		Token:    roomtoken.NewSecret("token of lobby"),
		Began:    entry.Lease.Granted,
		Lifetime: time.Minute,
	}})
	fmt.Println(err)
	fmt.Println(store.Record("lobby").Token.Reveal())
	// Output:
	// connection reset
	// token of lobby
}
