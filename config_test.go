package roomtoken_test

import (
	"context"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/benbjohnson/clock"

	"github.com/roomtoken/roomtoken"
)

func TestConfigDefaults(t *testing.T) {
	const none = time.Duration(0)
	want := func(change func(c *roomtoken.Config)) roomtoken.Config {
		c := roomtoken.Config{
			RefreshAfter: 2.0 / 3, Jitter: 0.1, MinValidity: 30 * time.Second, IdleAfter: 30 * time.Minute, MaxRooms: 100_000,
			MaxConcurrentCalls: 64, CallTimeout: 10 * time.Second, MaxWait: 30 * time.Second,
			BackoffMin: 500 * time.Millisecond, BackoffMax: 30 * time.Second, MaxRetryAfter: 10 * time.Minute,
		}
		change(&c)
		return c
	}
	for name, c := range map[string]struct {
		config roomtoken.Config
		change func(c *roomtoken.Config)
	}{
		"zero":                 {roomtoken.Config{}, func(*roomtoken.Config) {}},
		"RefreshAfter":         {roomtoken.Config{RefreshAfter: 0.85}, func(c *roomtoken.Config) { c.RefreshAfter = 0.85 }},
		"a small RefreshAfter": {roomtoken.Config{RefreshAfter: 0.1}, func(c *roomtoken.Config) { c.RefreshAfter, c.Jitter = 0.1, 0.05 }},
		"Jitter":               {roomtoken.Config{Jitter: 0.25}, func(c *roomtoken.Config) { c.Jitter = 0.25 }},
		"no Jitter":            {roomtoken.Config{Jitter: -1}, func(c *roomtoken.Config) { c.Jitter = 0 }},
		"MinValidity":          {roomtoken.Config{MinValidity: time.Hour}, func(c *roomtoken.Config) { c.MinValidity = time.Hour }},
		"no MinValidity":       {roomtoken.Config{MinValidity: -1}, func(c *roomtoken.Config) { c.MinValidity = none }},
		"no IdleAfter":         {roomtoken.Config{IdleAfter: -1}, func(c *roomtoken.Config) { c.IdleAfter = -1 }},
		"no MaxRooms":          {roomtoken.Config{MaxRooms: -1}, func(c *roomtoken.Config) { c.MaxRooms = -1 }},
		"no MaxWait":           {roomtoken.Config{MaxWait: -1}, func(c *roomtoken.Config) { c.MaxWait = -1 }},
		"MaxRetryAfter":        {roomtoken.Config{MaxRetryAfter: 24 * time.Hour}, func(c *roomtoken.Config) { c.MaxRetryAfter = 24 * time.Hour }},
		"CallsPerSecond":       {roomtoken.Config{CallsPerSecond: 0.5}, func(c *roomtoken.Config) { c.CallsPerSecond = 0.5 }},
		"BackoffMin above the default of BackoffMax": {roomtoken.Config{BackoffMin: time.Minute}, func(c *roomtoken.Config) { c.BackoffMin, c.BackoffMax = time.Minute, time.Minute }},
		"BackoffMax equals BackoffMin":               {roomtoken.Config{BackoffMax: 500 * time.Millisecond}, func(c *roomtoken.Config) { c.BackoffMax = 500 * time.Millisecond }},
	} {
		got, err := c.config.WithDefaults()
		if err != nil {
			t.Errorf("%s: withDefaults() = %v, want no error", name, err)
		}
		w := want(c.change)
		if got.RefreshAfter != w.RefreshAfter || got.Jitter != w.Jitter || got.MinValidity != w.MinValidity || got.IdleAfter != w.IdleAfter ||
			got.MaxRooms != w.MaxRooms || got.MaxConcurrentCalls != w.MaxConcurrentCalls || got.CallTimeout != w.CallTimeout ||
			got.MaxWait != w.MaxWait || got.BackoffMin != w.BackoffMin || got.BackoffMax != w.BackoffMax ||
			got.MaxRetryAfter != w.MaxRetryAfter || got.CallsPerSecond != w.CallsPerSecond {
			t.Errorf("%s:\n got %+v\nwant %+v", name, got, w)
		}
	}
}

func TestConfigRefusals(t *testing.T) {
	for name, c := range map[string]struct {
		config roomtoken.Config
		fields []string
	}{
		"RefreshAfter negative":       {roomtoken.Config{RefreshAfter: -0.1}, []string{"RefreshAfter"}},
		"RefreshAfter too large":      {roomtoken.Config{RefreshAfter: 0.851}, []string{"RefreshAfter"}},
		"RefreshAfter NaN":            {roomtoken.Config{RefreshAfter: math.NaN()}, []string{"RefreshAfter"}},
		"RefreshAfter infinite":       {roomtoken.Config{RefreshAfter: math.Inf(1)}, []string{"RefreshAfter"}},
		"Jitter too large":            {roomtoken.Config{Jitter: 0.7}, []string{"Jitter"}},
		"Jitter equals RefreshAfter":  {roomtoken.Config{RefreshAfter: 0.5, Jitter: 0.5}, []string{"Jitter"}},
		"Jitter NaN":                  {roomtoken.Config{Jitter: math.NaN()}, []string{"Jitter"}},
		"MaxConcurrentCalls":          {roomtoken.Config{MaxConcurrentCalls: -1}, []string{"MaxConcurrentCalls"}},
		"CallTimeout":                 {roomtoken.Config{CallTimeout: -1}, []string{"CallTimeout"}},
		"BackoffMin":                  {roomtoken.Config{BackoffMin: -1}, []string{"BackoffMin"}},
		"BackoffMax":                  {roomtoken.Config{BackoffMax: -1}, []string{"BackoffMax"}},
		"BackoffMax below BackoffMin": {roomtoken.Config{BackoffMin: time.Minute, BackoffMax: time.Second}, []string{"BackoffMax"}},
		"MaxRetryAfter":               {roomtoken.Config{MaxRetryAfter: -1}, []string{"MaxRetryAfter"}},
		"MaxRetryAfter too long":      {roomtoken.Config{MaxRetryAfter: 24*time.Hour + 1}, []string{"MaxRetryAfter"}},
		"CallsPerSecond":              {roomtoken.Config{CallsPerSecond: -1}, []string{"CallsPerSecond"}},
		"CallsPerSecond NaN":          {roomtoken.Config{CallsPerSecond: math.NaN()}, []string{"CallsPerSecond"}},
		"CallsPerSecond infinite":     {roomtoken.Config{CallsPerSecond: math.Inf(1)}, []string{"CallsPerSecond"}},
		"all": {
			roomtoken.Config{RefreshAfter: 1, Jitter: 2, MaxConcurrentCalls: -1, CallTimeout: -1, BackoffMin: -1, BackoffMax: -2, MaxRetryAfter: -3, CallsPerSecond: -4},
			[]string{"RefreshAfter", "Jitter", "MaxConcurrentCalls", "CallTimeout", "BackoffMin", "BackoffMax", "MaxRetryAfter", "CallsPerSecond"},
		},
	} {
		m, err := roomtoken.NewManager(&source{clk: clock.NewMock()}, c.config)
		if err == nil || m != nil {
			t.Errorf("%s: NewManager() = (%v, %v), want an error only", name, m, err)
			continue
		}
		for _, field := range c.fields {
			if !strings.Contains(err.Error(), "Config."+field) {
				t.Errorf("%s: error = %v, want it to name %s", name, err, field)
			}
		}
		if got := strings.Count(err.Error(), "Config."); got != len(c.fields) {
			t.Errorf("%s: error names %d fields, want %d: %v", name, got, len(c.fields), err)
		}
	}
	if m, err := roomtoken.NewManager(nil, roomtoken.Config{}); err == nil || m != nil {
		t.Errorf("NewManager(nil) = (%v, %v), want an error only", m, err)
	}
}

// Without MinValidity a token is usable until it expires.
func TestConfigNoMinValidity(t *testing.T) {
	within(t, roomtoken.Config{MinValidity: -1, Jitter: -1}, func(t *testing.T, w *world) {
		w.token("r")
		w.src.fail(errDown)
		w.add(600*time.Second - 1)
		if _, ok := w.m.Cached("r"); !ok {
			t.Fatal("no token a nanosecond before it expires, want one")
		}
		w.add(1)
		if _, ok := w.m.Cached("r"); ok {
			t.Fatal("got a token that has expired, want none")
		}
		w.src.on(nil)
	})
}

// Without MaxWait callers wait as long as their ctx allows.
func TestConfigNoMaxWait(t *testing.T) {
	within(t, roomtoken.Config{MaxWait: -1}, func(t *testing.T, w *world) {
		w.src.fail(errDown)
		ctx, cancel := context.WithCancel(t.Context())
		p := w.ask(ctx, "r")
		w.add(time.Hour)
		w.waits(p)
		cancel()
		w.refused(p, errDown)
	})
}

// Jitter only advances a renewal, stays within its bound, and is drawn per token.
func TestConfigJitter(t *testing.T) {
	within(t, roomtoken.Config{}, func(t *testing.T, w *world) {
		times := map[time.Duration]bool{}
		for i := range 100 {
			id := string(rune('A' + i))
			w.token(id)
			s, _ := w.m.Room(id)
			at := s.NextCallAt.Sub(time.Unix(0, 0))
			if at <= 340*time.Second-time.Millisecond || at > 400*time.Second {
				t.Errorf("renewal is due at %v, want 340 s to 400 s", at)
			}
			times[at] = true
		}
		if len(times) < 90 {
			t.Errorf("100 tokens have %d renewal times, want at least 90", len(times))
		}
	})
}
