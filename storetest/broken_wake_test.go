package storetest

import (
	"context"
	"time"

	"github.com/roomtoken/roomtoken"
)

var wakeBroken = []brokenStore{
	{"Wake", "Wake calls wake soon", "it does not", func(p *process) {
		p.wakes(func(roomID string, _ *roomtoken.Record) bool { return roomID == "" })
	}},
	{"Wake", "Wake calls wake soon", "after an ask without Wait", func(p *process) {
		p.asks(func(ask *roomtoken.Ask) { ask.Wait = true })
	}},
	{"Wake", "Wake calls wake soon", "for every process", func(p *process) {
		p.wake = func(ctx context.Context, wake func(roomID string, record roomtoken.Record)) error {
			go wake("", roomtoken.Record{})
			for ctx.Err() == nil {
				if !p.Record(lobby).IsZero() {
					wake(lobby, p.Record(lobby))
				}
				time.Sleep(time.Second)
			}
			return ctx.Err()
		}
	}},
	{"Wake", "with the record if", "without one", func(p *process) {
		p.wakes(func(_ string, record *roomtoken.Record) bool { *record = roomtoken.Record{}; return true })
	}},
	{"Wake", "with the record if", "only if it ended with one", func(p *process) {
		p.wakes(func(roomID string, record *roomtoken.Record) bool { return roomID == "" || !record.IsZero() })
	}},
	{"Wake", "those who were told to wait", "only if it is taken", func(p *process) {
		p.rejections(func(*roomtoken.Rejection) { p.shared.next() })
		p.wakes(func(roomID string, record *roomtoken.Record) bool { return roomID == "" || p.shared.n == 0 })
	}},
	{"Wake", "those who were told to wait", "with what is not taken", func(p *process) {
		p.wakes(func(roomID string, record *roomtoken.Record) bool {
			if roomID != "" && record.IsZero() {
				record.Token = roomtoken.NewSecret("refused")
			}
			return true
		})
	}},
	{"Wake", "Wake also calls wake", "after a while", func(p *process) {
		p.wakes(func(roomID string, _ *roomtoken.Record) bool {
			if roomID == "" {
				time.Sleep(patience + 1)
			}
			return true
		})
	}},
	{"Wake", "Wake also calls wake", "once", func(p *process) {
		p.wakes(func(roomID string, _ *roomtoken.Record) bool {
			return roomID != "" || p.shared.next() == 1
		})
	}},
	{"Wake", "It returns when ctx ends", "an hour later", func(p *process) {
		p.wake = func(ctx context.Context, wake func(roomID string, record roomtoken.Record)) error {
			err := p.Store.Wake(ctx, wake)
			time.Sleep(time.Hour)
			return err
		}
	}},
}
