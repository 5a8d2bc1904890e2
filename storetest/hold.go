package storetest

import (
	"time"

	"github.com/roomtoken/roomtoken"
)

// limited is the failure of a rate limit.
func limited(text string) roomtoken.Failure {
	return roomtoken.Failure{Kind: roomtoken.FailureRateLimited, Count: 1, Text: text}
}

var holdChecks = []check{
	{of: "Hold", sentence: "Hold tells, in the news, that the source asked all callers to wait", run: func(s *suite) {
		s.want(s.news(s.b, "").Hold == roomtoken.Hold{}, "no hold")
		s.hold(s.a, time.Minute, limited("slow down"))
		for _, store := range []*handle{s.a, s.b} {
			hold := s.news(store, "").Hold
			s.want(hold.ID != "" && hold.Wait == time.Minute && s.about(hold.Left, time.Minute) && !hold.Over && hold.Failure == limited("slow down"),
				"a hold of 1m, of which 1m is left, %s", showFailure(limited("slow down")))
		}
	}},
	{of: "Hold", sentence: "A hold that would end before the present one changes nothing", run: func(s *suite) {
		s.hold(s.a, 10*time.Minute, limited("first"))
		first := s.news(s.b, "").Hold
		s.hold(s.b, 5*time.Minute, limited("second"))
		hold := s.news(s.a, "").Hold
		s.want(hold.ID == first.ID && hold.Wait == first.Wait && s.about(hold.Left, 10*time.Minute) && hold.Failure == first.Failure, "%s", showHold(first))
	}},
	{of: "Hold", sentence: "another one for each hold, and each time it is made longer", run: func(s *suite) {
		s.hold(s.a, 5*time.Minute, limited("first"))
		first := s.news(s.b, "").Hold
		s.want(s.news(s.b, "").Hold.ID == first.ID, "ID %q: it is the same hold", first.ID)
		s.hold(s.b, 10*time.Minute, limited("second"))
		second := s.news(s.a, "").Hold
		s.want(second.ID != first.ID, "another ID than %q, because the hold is longer", first.ID)
		s.want(second.Wait == 10*time.Minute && s.about(second.Left, 10*time.Minute) && second.Failure == limited("second"), "the longer hold of 10m, with its failure")
	}},
	{of: "Hold", sentence: "With wait 0, a call was answered: the hold is over if its time has passed", run: func(s *suite) {
		s.hold(s.a, 0, roomtoken.Failure{})
		s.want(s.news(s.b, "").Hold == roomtoken.Hold{}, "no hold, because there was none")

		s.hold(s.a, brief, limited("brief"))
		s.advance(brief)
		hold := s.news(s.b, "").Hold
		s.want(hold.Wait == brief && hold.Left == 0 && !hold.Over, "a hold of %v that has passed, but is not over", brief)
		s.hold(s.b, 0, roomtoken.Failure{})
		over := s.news(s.a, "").Hold
		s.want(over.ID == hold.ID && over.Left == 0 && over.Over, "the same hold, over")

		s.hold(s.a, long, limited("long"))
		s.hold(s.b, 0, roomtoken.Failure{})
		hold = s.news(s.a, "").Hold
		s.want(hold.ID != over.ID && hold.Left > 0 && !hold.Over, "a new hold that is not over, because its time has not passed")
	}},
	{of: "Hold", sentence: "that was asked for; more than 24 h counts as none", run: func(s *suite) {
		s.hold(s.a, day+time.Second, limited("wrong"))
		s.want(s.news(s.b, "").Hold == roomtoken.Hold{}, "no hold")
		s.hold(s.a, day, limited("a day"))
		s.want(s.about(s.news(s.b, "").Hold.Left, day), "a hold of 24h")
	}},
}
