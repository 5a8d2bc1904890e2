package storetest

import (
	"fmt"
	"strings"
	"time"

	"github.com/roomtoken/roomtoken"
)

// These functions return values as messages show them. The tokens in them are those of the
// tests.

// nothing is the answer of which nothing is set.
const nothing = "nothing"

// isNothing reports whether nothing but Now is set.
func isNothing(entry roomtoken.Entry) bool { return showEntry(entry, nil) == nothing }

// answer joins what is set of an answer.
func answer(parts ...string) string {
	var set []string
	for _, part := range parts {
		if part != "" {
			set = append(set, part)
		}
	}
	if set == nil {
		return nothing
	}
	return strings.Join(set, ", ")
}

// part returns "" unless the part of an answer is set.
func part(set bool, format string, args ...any) string {
	if !set {
		return ""
	}
	return fmt.Sprintf(format, args...)
}

// short cuts a long text.
func short(text string) string {
	const most = 40
	if len(text) > most {
		return fmt.Sprintf("%q and %d bytes more", text[:most], len(text)-most)
	}
	return fmt.Sprintf("%q", text)
}

func showRooms(roomIDs []string) string {
	if len(roomIDs) == 1 {
		return short(roomIDs[0])
	}
	return fmt.Sprintf("%d rooms", len(roomIDs))
}

func showAsk(ask roomtoken.Ask) string {
	return answer(
		short(ask.RoomID),
		"ID "+ask.ID,
		part(ask.Newer > 0, "Newer %d", ask.Newer),
		part(!ask.Refused.Token.IsZero(), "Refused %s", showRejection(ask.Refused)),
		fmt.Sprintf("TTL %v", ask.TTL),
		part(ask.Look, "Look"), part(ask.Wait, "Wait"), part(ask.Fresh, "Fresh"),
	)
}

func showEntry(entry roomtoken.Entry, err error) string {
	if err != nil {
		return fmt.Sprintf("error: %v", err)
	}
	return answer(
		part(!entry.Record.IsZero(), "%s", showRecord(entry.Record)),
		part(!entry.Lease.IsZero(), "%s", showLease(entry.Lease)),
		part(entry.Busy != 0, "Busy for %v", entry.Busy),
		part(entry.NotBefore != 0, "NotBefore in %v", entry.NotBefore),
		part(entry.Degraded != nil, "Degraded: %v", entry.Degraded),
		part(entry.Failure != roomtoken.Failure{}, "%s", showFailure(entry.Failure)),
		part(entry.Refusals != 0, "%d refusals", entry.Refusals),
		part(entry.Unreadable != nil, "Unreadable: %v", entry.Unreadable),
	)
}

func showEntries(entries []roomtoken.Entry, err error) string {
	if err == nil && len(entries) != 1 {
		return fmt.Sprintf("%d entries", len(entries))
	}
	return showEntry(append(entries, roomtoken.Entry{})[0], err)
}

func showRecord(record roomtoken.Record) string {
	return fmt.Sprintf("Record %s (version %d, refresh token %s, began %d, lifetimes %v and %v, ages %v and %v, %d refusals)",
		short(record.Token.Reveal()), record.Version, short(record.RefreshToken.Reveal()), record.Began,
		record.Lifetime, record.RefreshLifetime, record.RenewAge, record.HandOutAge, record.Refusals)
}

func showLease(lease roomtoken.Lease) string {
	return fmt.Sprintf("Lease %s (room %s, on version %d, granted %d)", lease.ID, short(lease.RoomID), lease.Version, lease.Granted)
}

func showFailure(failure roomtoken.Failure) string {
	if failure == (roomtoken.Failure{}) {
		return "no failure"
	}
	return fmt.Sprintf("Failure %s (kind %d, count %d)", short(failure.Text), failure.Kind, failure.Count)
}

func showResult(result roomtoken.Result) string {
	return answer(
		part(!result.Record.IsZero(), "%s", showRecord(result.Record)),
		part(result.Failure != roomtoken.Failure{}, "%s for %v", showFailure(result.Failure), result.NotBefore),
	)
}

func showCommitted(committed roomtoken.Committed, err error) string {
	if err != nil {
		return fmt.Sprintf("error: %v", err)
	}
	return answer(
		part(committed.Taken, "taken"), part(!committed.Taken, "not taken"),
		part(!committed.Newer.IsZero(), "newer: %s", showRecord(committed.Newer)),
	)
}

func showRejection(rejection roomtoken.Rejection) string {
	return fmt.Sprintf("token %x of %s (left %v, refusals %d)", rejection.Token[:4], short(rejection.RoomID), rejection.Left, rejection.Refusals)
}

func showNews(news roomtoken.News, err error) string {
	if err != nil {
		return fmt.Sprintf("error: %v", err)
	}
	rejections := make([]string, 0, len(news.Rejections))
	for _, rejection := range news.Rejections[:min(len(news.Rejections), 5)] {
		rejections = append(rejections, showRejection(rejection))
	}
	return answer(
		fmt.Sprintf("cursor %q", news.Cursor),
		fmt.Sprintf("%d rejections: %s", len(news.Rejections), answer(rejections...)),
		part(news.Missed, "some were missed"),
		part(news.Hold != roomtoken.Hold{}, "%s", showHold(news.Hold)),
	)
}

func showHold(hold roomtoken.Hold) string {
	return fmt.Sprintf("Hold %s (of %v, left %v, over %v, %s)", hold.ID, hold.Wait, hold.Left.Round(time.Millisecond), hold.Over, showFailure(hold.Failure))
}
