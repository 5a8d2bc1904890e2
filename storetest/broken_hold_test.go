package storetest

import (
	"context"
	"fmt"
	"time"

	"github.com/roomtoken/roomtoken"
)

var holdBroken = []brokenStore{
	{"Hold", "Hold tells", "nothing", func(p *process) {
		p.hold = func(context.Context, time.Duration, roomtoken.Failure) error { return nil }
	}},
	{"Hold", "Hold tells", "no failure", func(p *process) {
		p.tells(func(_ string, news *roomtoken.News) { news.Hold.Failure = roomtoken.Failure{} })
	}},
	{"Hold", "Hold tells", "only other processes", func(p *process) {
		p.tells(func(_ string, news *roomtoken.News) {
			if p.first {
				news.Hold = roomtoken.Hold{}
			}
		})
	}},
	{"Hold", "A hold that would end before", "it is the hold", func(p *process) {
		p.ownHold(func(time.Duration) time.Duration { return 0 })
	}},
	{"Hold", "another one for each hold", "the same one", func(p *process) {
		p.tells(func(_ string, news *roomtoken.News) { news.Hold.ID = "hold" })
	}},
	{"Hold", "another one for each hold", "another one each time", func(p *process) {
		p.tells(func(since string, news *roomtoken.News) {
			news.Hold.ID = fmt.Sprint(p.shared.next())
		})
	}},
	{"Hold", "With wait 0", "never", func(p *process) {
		p.tells(func(_ string, news *roomtoken.News) { news.Hold.Over = false })
	}},
	{"Hold", "With wait 0", "in any case", func(p *process) {
		p.tells(func(_ string, news *roomtoken.News) { news.Hold.Over = news.Hold.ID != "" && p.shared.n > 0 })
		p.hold = func(ctx context.Context, wait time.Duration, failure roomtoken.Failure) error {
			p.shared.n = 0
			if wait == 0 {
				p.shared.n = 1
			}
			return p.Store.Hold(ctx, wait, failure)
		}
	}},
	{"Hold", "With wait 0", "as soon as it has passed", func(p *process) {
		p.tells(func(_ string, news *roomtoken.News) { news.Hold.Over = news.Hold.ID != "" && news.Hold.Left == 0 })
	}},
	{"Hold", "that was asked for", "24 h", func(p *process) {
		p.hold = func(ctx context.Context, wait time.Duration, failure roomtoken.Failure) error {
			return p.Store.Hold(ctx, min(wait, day), failure)
		}
	}},
	{"Hold", "that was asked for", "nor do 24 h count", func(p *process) {
		p.hold = func(ctx context.Context, wait time.Duration, failure roomtoken.Failure) error {
			return p.Store.Hold(ctx, wait+1, failure)
		}
	}},
}
