package storetest

import (
	"context"
	"slices"
	"time"

	"github.com/roomtoken/roomtoken"
)

var newsBroken = []brokenStore{
	{"News", "News returns the rejections", "all of them", func(p *process) {
		p.news = func(ctx context.Context, _ string) (roomtoken.News, error) { return p.Store.News(ctx, "") }
	}},
	{"News", "News returns the rejections", "not its own", func(p *process) {
		p.rejections(func(*roomtoken.Rejection) { p.shared.next() })
		p.tells(func(since string, news *roomtoken.News) {
			if since != "" && p.shared.n == 5 && !p.first {
				news.Rejections = nil
			}
		})
	}},
	{"News", "and the hold", "once", func(p *process) {
		p.tells(func(since string, news *roomtoken.News) {
			if since != "" && news.Hold.ID != "" {
				if p.shared.next() > 1 {
					news.Hold = roomtoken.Hold{}
				}
			}
		})
	}},
	{"News", `With "", all rejections`, "the last ten", func(p *process) {
		p.tells(func(_ string, news *roomtoken.News) {
			news.Rejections = news.Rejections[max(len(news.Rejections)-10, 0):]
		})
	}},
	{"News", `With "", all rejections`, "those of half a minute", func(p *process) {
		p.tells(func(_ string, news *roomtoken.News) {
			news.Rejections = slices.DeleteFunc(news.Rejections, func(r roomtoken.Rejection) bool { return r.Left < long-30*time.Second })
		})
	}},
	{"News", `With "", all rejections`, "none that is known was missed", func(p *process) {
		p.tells(func(since string, news *roomtoken.News) { news.Missed = news.Missed || since == "" })
	}},
	{"News", "since then, oldest first", "newest first", func(p *process) {
		p.tells(func(_ string, news *roomtoken.News) { slices.Reverse(news.Rejections) })
	}},
	{"News", "the Store has forgotten", "not told", func(p *process) {
		p.tells(func(_ string, news *roomtoken.News) { news.Missed = false })
	}},
	{"News", "the Store has forgotten", "told again", func(p *process) {
		p.tells(func(_ string, news *roomtoken.News) {
			p.shared.n += len(news.Rejections)
			news.Missed = p.shared.n > 0
		})
	}},
	{"News", "does not know the cursor", "not told", func(p *process) {
		p.tells(func(_ string, news *roomtoken.News) { news.Missed = false })
	}},
}
