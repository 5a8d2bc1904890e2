package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/roomtoken/roomtoken"
)

// idleRows measures a process without rooms.
func (b *bench) idleRows(ctx context.Context) error {
	perSecond, err := b.idle(ctx)
	if err != nil {
		return err
	}
	b.row("a process with nothing to do: commands per second", fmt.Sprintf("%.1f", perSecond), "at most 3")
	return nil
}

func (b *bench) idle(ctx context.Context) (perSecond float64, err error) {
	s := b.settings()
	t := &traffic{prefix: s.Prefix}
	p, err := startProcess(s, t, &source{}, roomtoken.Config{})
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, p.close()) }()
	if err := wait(ctx, time.Second); err != nil { // it has begun by then
		return 0, err
	}
	before := t.commands.Load() + t.idle.Load()
	if err := wait(ctx, b.sizes.idle); err != nil {
		return 0, err
	}
	return float64(t.commands.Load()+t.idle.Load()-before) / b.sizes.idle.Seconds(), nil
}
