package main

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"regexp"

	"github.com/roomtoken/roomtoken"
	"github.com/roomtoken/roomtoken/bench/internal/roomid"
)

// renewalResult is what renewals cost.
type renewalResult struct {
	creates, renewals int64
	commands          float64 // for each renewal
	lapses, failures  uint64  // failures: of calls of the store
}

func (b *bench) renewalRows(ctx context.Context) error {
	r, err := b.renewals(ctx)
	if err != nil {
		return err
	}
	n := b.sizes.processes
	what := func(lifetime string) string {
		return fmt.Sprintf("commands for a renewal with %d processes, lifetime %s", n, lifetime)
	}
	b.row(what(b.sizes.renewedLifetime.String()), fmt.Sprintf("%.2f (%d renewals, %d lapses, %d calls of the store without an answer)", r.commands, r.renewals, r.lapses, r.failures), fmt.Sprintf("at most %.1f", 1.3*float64(n)+1))
	if n != full.processes {
		return nil
	}
	commands, err := b.renewalsOfMinutes(ctx)
	if err != nil {
		return err
	}
	cells(b.out, what("10m0s, in fake time"), commands, fmt.Sprint(n+1), "`go test -v -run "+renewalTest+" .`")
	return nil
}

// renewals lets processes keep rooms fresh together.
func (b *bench) renewals(ctx context.Context) (r renewalResult, err error) {
	s := b.settings()
	t := &traffic{prefix: s.Prefix}
	src := &source{latency: sourceLatency, lifetime: b.sizes.renewedLifetime, size: plainToken}
	fleet, err := startFleet(b.sizes.processes, s, t, src, roomtoken.Config{IdleAfter: -1})
	if err != nil {
		return r, err
	}
	defer func() { err = errors.Join(err, closeAll(fleet)) }()
	ids := roomid.New(b.sizes.renewed)
	for _, p := range fleet {
		if err := p.Warm(ctx, ids...); err != nil {
			return r, err
		}
	}
	if err := wait(ctx, b.sizes.renewedLifetime); err != nil { // the renewals are spread by then
		return r, err
	}
	renewals, commands := src.refreshes.Load(), t.commands.Load()
	if err := wait(ctx, b.sizes.renewedFor); err != nil {
		return r, err
	}
	r.renewals = src.refreshes.Load() - renewals
	r.commands = float64(t.commands.Load()-commands) / float64(max(r.renewals, 1))
	r.creates = src.creates.Load()
	for _, p := range fleet {
		stats := p.Stats()
		r.lapses += stats.Lapses
		r.failures += stats.StoreFailures
	}
	return r, nil
}

// renewalTest counts with a store in memory, in the fake time of a testing/synctest bubble.
const renewalTest = "TestPromise13CommandsPerRenewal"

var testResult = regexp.MustCompile(`(?s)/10m0s.*?(\d+) renewals, ([\d.]+) commands each`)

// renewalsOfMinutes returns the commands for each renewal of tokens that live for minutes.
func (b *bench) renewalsOfMinutes(ctx context.Context) (string, error) {
	command := exec.CommandContext(ctx, "go", "test", "-count=1", "-v", "-run", renewalTest+"/10m0s", ".")
	command.Dir = b.root
	output, err := command.CombinedOutput()
	found := testResult.FindSubmatch(output)
	if err != nil || found == nil {
		return "", fmt.Errorf("%s: %w\n%s", command, errors.Join(err, errors.New("it does not say what a renewal costs")), output)
	}
	return fmt.Sprintf("%s (%s renewals)", found[2], found[1]), nil
}
