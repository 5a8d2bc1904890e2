package main

import (
	"context"
	"encoding/json"
	"io"
	"os"
	"os/signal"
	"sync"
	"sync/atomic"
	"time"

	"github.com/roomtoken/roomtoken"
)

// workerEnv is the environment variable that makes the program one of the processes.
const workerEnv = "FLEET_WORKER"

// settings are what a process has to know. The first one sends them to the others; a real
// program has them from its configuration.
type settings struct {
	RedisAddr     string
	Prefix        string
	EncryptionKey []byte
	APIURL        string
	APIKey        string
	TokenTTL      time.Duration
	Rooms         []string
}

// report is what a process tells the first one, a few times a second.
type report struct {
	Requests, Failures uint64 // of handle
	Adopted            uint64
	StoreDown          bool
}

const (
	requestEvery = 100 * time.Millisecond // of each room
	reportEvery  = 200 * time.Millisecond
)

// work is one of the processes. It reads its settings from in, writes reports to out, and
// ends when in does.
func work(in io.Reader, out io.Writer) error {
	signal.Ignore(os.Interrupt) // Ctrl-C ends the first process, which ends this one

	var s settings
	if err := json.NewDecoder(in).Decode(&s); err != nil {
		return err
	}
	client := newClient(s)
	defer client.Close()
	manager, err := newManager(client, s)
	if err != nil {
		return err
	}
	defer manager.Close()

	ctx, cancel := context.WithCancel(context.Background())
	go func() {
		_, _ = io.Copy(io.Discard, in)
		cancel()
	}()
	var requests, failures atomic.Uint64
	var rooms sync.WaitGroup
	for _, room := range s.Rooms {
		rooms.Go(func() {
			every(ctx, requestEvery, func() {
				requests.Add(1)
				if err := handle(ctx, manager, room); err != nil && ctx.Err() == nil {
					failures.Add(1)
				}
			})
		})
	}
	encoder := json.NewEncoder(out)
	every(ctx, reportEvery, func() {
		_ = encoder.Encode(newReport(manager.Stats(), requests.Load(), failures.Load()))
	})
	rooms.Wait()
	return nil
}

func newReport(s roomtoken.Stats, requests, failures uint64) report {
	return report{Requests: requests, Failures: failures, Adopted: s.Adopted, StoreDown: s.StoreDown}
}

// every calls f at once and then again and again, until ctx ends.
func every(ctx context.Context, interval time.Duration, f func()) {
	ticker := time.NewTicker(interval)
	defer ticker.Stop()
	for ctx.Err() == nil {
		f()
		select {
		case <-ticker.C:
		case <-ctx.Done():
		}
	}
}
