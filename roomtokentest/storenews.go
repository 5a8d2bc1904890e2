package roomtokentest

import (
	"fmt"
	"strconv"
	"time"

	"github.com/roomtoken/roomtoken"
)

const (
	newsAge    = 10 * time.Minute // how long a rejection is in the news
	newsSurely = time.Minute      // how long it is there by contract
)

// newsLog is the news: the newest rejections and the hold.
type newsLog struct {
	limit      int                 // of the length of log
	epoch      int                 // which history the numbers belong to; Flush and Restore begin another one
	log        []newsEntry         // oldest first
	next       int                 // the number of the next rejection; the numbers in log are consecutive
	forgotten  roomtoken.StoreTime // when the newest rejection that is no longer in log was told
	holdSerial int
	present    roomtoken.Hold // without Left
	holdEnds   roomtoken.StoreTime
}

type newsEntry struct {
	rejection roomtoken.Rejection
	at        roomtoken.StoreTime
}

func (n *newsLog) reject(rejection roomtoken.Rejection, now roomtoken.StoreTime) {
	n.log = append(n.log, newsEntry{rejection, now})
	n.next++
	n.forget(now)
}

// forget drops rejections that are too many or too old, and a hold that ended long ago.
func (n *newsLog) forget(now roomtoken.StoreTime) {
	if now >= n.holdEnds.Add(maxWait) {
		n.present = roomtoken.Hold{}
	}
	drop := max(len(n.log)-n.limit, 0)
	for drop < len(n.log) && now >= n.log[drop].at.Add(newsAge) {
		drop++
	}
	if drop > 0 {
		n.forgotten = n.log[drop-1].at
		n.log = append([]newsEntry(nil), n.log[drop:]...)
	}
}

// hold is [roomtoken.Store].Hold.
func (n *newsLog) hold(wait time.Duration, failure roomtoken.Failure, now roomtoken.StoreTime) {
	switch ends := now.Add(wait); {
	case wait <= 0:
		n.present.Over = n.present.ID != "" && now >= n.holdEnds
	case wait <= maxWait && ends > n.holdEnds:
		n.holdSerial++
		n.present = roomtoken.Hold{ID: strconv.Itoa(n.holdSerial), Wait: wait, Failure: failure}
		n.holdEnds = ends
	}
}

func (n *newsLog) since(cursor string, now roomtoken.StoreTime) roomtoken.News {
	n.forget(now)
	news := roomtoken.News{Cursor: fmt.Sprintf("%d-%d", n.epoch, n.next), Hold: n.present}
	news.Hold.Left = max(n.holdEnds.Sub(now), 0)

	skip, known := n.position(cursor)
	switch {
	case cursor == "":
		news.Missed = n.forgotten != 0 && now < n.forgotten.Add(newsSurely)
	case !known:
		news.Missed = true
	}
	for _, entry := range n.log[skip:] {
		rejection := entry.rejection
		rejection.Left = max(rejection.Left-now.Sub(entry.at), 0)
		news.Rejections = append(news.Rejections, rejection)
	}
	return news
}

// position returns how many entries of the log a cursor is past. A cursor is unknown, and
// past none, if it is of another epoch or if something after it is no longer in the log.
func (n *newsLog) position(cursor string) (skip int, known bool) {
	var epoch, next int
	if _, err := fmt.Sscanf(cursor, "%d-%d", &epoch, &next); err != nil || epoch != n.epoch {
		return 0, false
	}
	skip = next - (n.next - len(n.log))
	if skip < 0 || skip > len(n.log) {
		return 0, false
	}
	return skip, true
}
