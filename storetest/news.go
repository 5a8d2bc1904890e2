package storetest

import (
	"fmt"
	"time"

	"github.com/roomtoken/roomtoken"
)

// rejectMany rejects n tokens of a room that is named after them, and returns what it told.
func (s *suite) rejectMany(store *handle, name string, n int) []roomtoken.Rejection {
	s.Helper()
	var told []roomtoken.Rejection
	for i := range n {
		rejection := roomtoken.Rejection{
			RoomID:   name,
			Token:    roomtoken.NewSecret(fmt.Sprint(name, i)).Digest(),
			Left:     long,
			Refusals: i,
		}
		s.reject(store, rejection)
		told = append(told, rejection)
	}
	return told
}

// wantNews checks that the rejections in the news are those, in their order.
func (s *suite) wantNews(news roomtoken.News, rejections ...roomtoken.Rejection) {
	s.Helper()
	s.want(len(news.Rejections) == len(rejections), "%d rejections", len(rejections))
	for i, rejection := range rejections {
		s.want(s.told(news.Rejections[i], rejection), "rejection %d is %s, not %s", i, showRejection(rejection), showRejection(news.Rejections[i]))
	}
}

var newsChecks = []check{
	{of: "News", sentence: "News returns the rejections since a cursor that an earlier call has returned", run: func(s *suite) {
		none := s.news(s.a, "")
		s.wantNews(none)
		first := s.rejectMany(s.a, "first", 3)
		news := s.news(s.b, none.Cursor)
		s.wantNews(news, first...)
		s.want(!news.Missed, "nothing was missed")
		again := s.news(s.b, news.Cursor)
		s.wantNews(again)
		second := s.rejectMany(s.b, "second", 2)
		s.wantNews(s.news(s.b, again.Cursor), second...)
		s.wantNews(s.news(s.a, news.Cursor), second...) // a cursor is good for all processes
		s.wantNews(s.news(s.a, none.Cursor), append(first, second...)...)
	}},
	{of: "News", sentence: "and the hold", run: func(s *suite) {
		cursor := s.news(s.a, "").Cursor
		s.hold(s.a, long, limited("slow down"))
		hold := s.news(s.b, cursor)
		s.want(hold.Hold.ID != "", "the hold")
		s.want(s.news(s.b, hold.Cursor).Hold.ID == hold.Hold.ID, "the hold, as long as there is one")
	}},
	{of: "News", sentence: `With "", all rejections that are known: at least those of the last minute`, run: func(s *suite) {
		told := s.rejectMany(s.a, "lobby", 20)
		if s.harness.Advance != nil {
			s.advance(50 * time.Second)
		}
		news := s.news(s.b, "")
		s.want(len(news.Rejections) == len(told) && !news.Missed, "%d rejections, and none was missed", len(told))
	}},
	{of: "News", sentence: "since then, oldest first", run: func(s *suite) {
		told := s.rejectMany(s.a, "first", 2)
		told = append(told, s.rejectMany(s.b, "second", 2)...)
		told = append(told, s.rejectMany(s.a, "third", 2)...)
		s.wantNews(s.news(s.b, ""), told...)
	}},
	{of: "News", sentence: "the Store has forgotten some", needs: hookNewsLimit, run: func(s *suite) {
		cursor := s.news(s.a, "").Cursor
		s.rejectMany(s.a, "lobby", s.harness.NewsLimit+1)
		news := s.news(s.b, cursor)
		s.want(news.Missed, "some were missed, because there were more than %d", s.harness.NewsLimit)
		next := s.rejectMany(s.a, "next", 1)
		news = s.news(s.b, news.Cursor)
		s.wantNews(news, next...)
		s.want(!news.Missed, "nothing was missed since then")
	}},
	{of: "News", sentence: "does not know the cursor", needs: hookFlush, run: func(s *suite) {
		cursor := s.news(s.b, "").Cursor
		s.rejectMany(s.a, "before", 2)
		s.harness.Flush()
		s.call("flush")
		s.rejectMany(s.a, "after", 2)
		news := s.news(s.b, cursor)
		s.want(news.Missed, "some were missed: those that the flush has removed")
		s.want(!s.news(s.b, news.Cursor).Missed, "nothing was missed since then")
	}},
}
