package storetest

import (
	"context"

	"github.com/roomtoken/roomtoken"
)

var rejectBroken = []brokenStore{
	{"Reject", "Reject drops the record", "any record", func(p *process) {
		p.rejections(func(rejection *roomtoken.Rejection) { p.drop(rejection.RoomID) })
	}},
	{"Reject", "Reject drops the record", "no record", func(p *process) {
		p.rejections(func(rejection *roomtoken.Rejection) { rejection.RoomID += "?" })
	}},
	{"Reject", "Reject drops the record", "and the lease", func(p *process) {
		p.rejections(func(rejection *roomtoken.Rejection) {
			if lease, ok := p.Leases()[rejection.RoomID]; ok {
				_, _ = p.Store.Commit(context.Background(), lease, roomtoken.Result{})
			}
		})
	}},
	{"Reject", "leaves a tombstone", "none", func(p *process) {
		p.rejections(func(rejection *roomtoken.Rejection) { rejection.Left = 0 })
	}},
	{"Reject", "leaves a tombstone", "one for each room", func(p *process) {
		p.rejections(func(rejection *roomtoken.Rejection) {
			if p.shared.next() > 1 {
				rejection.Left = 0
			}
		})
	}},
	{"Reject", "leaves a tombstone", "for what was told last", func(p *process) {
		p.rejections(func(rejection *roomtoken.Rejection) { rejection.Left = brief }) // as is told in the end
	}},
	{"Reject", "tells it in the news", "it does not", func(p *process) {
		p.reject = func(ctx context.Context, rejection roomtoken.Rejection) error {
			_, err := p.Store.Acquire(ctx, roomtoken.Ask{RoomID: rejection.RoomID, ID: "none", TTL: long, Refused: rejection, Look: true})
			return err
		}
	}},
	{"Reject", "tells it in the news", "not for how long", func(p *process) {
		p.tells(func(_ string, news *roomtoken.News) {
			for i := range news.Rejections {
				news.Rejections[i].Left = 0
			}
		})
	}},
	{"Reject", "Where there is no record now", "none", func(p *process) {
		p.rejections(func(rejection *roomtoken.Rejection) { rejection.Refusals = 0 })
	}},
	{"Reject", "Where there is no record now", "their sum", func(p *process) {
		p.rejections(func(rejection *roomtoken.Rejection) {
			p.shared.n += rejection.Refusals
			rejection.Refusals = p.shared.n
		})
	}},
	{"Reject", "Where there is no record now", "those of the last one told", func(p *process) {
		p.rejections(func(rejection *roomtoken.Rejection) { p.shared.n = rejection.Refusals })
		p.entries(func(_ roomtoken.Ask, entry *roomtoken.Entry) { entry.Refusals = p.shared.n })
	}},
	{"Reject", "Where there is no record now", "once", func(p *process) {
		p.entries(func(_ roomtoken.Ask, entry *roomtoken.Entry) {
			if entry.Refusals > 0 {
				if p.shared.next() > 1 {
					entry.Refusals = 0
				}
			}
		})
	}},
	{"Reject", "Where there is no record now", "for ever", func(p *process) {
		p.entries(func(_ roomtoken.Ask, entry *roomtoken.Entry) {
			p.shared.n = max(p.shared.n, entry.Refusals)
			entry.Refusals = p.shared.n
		})
	}},
}
