// Package statuspage is the page that one opens at 3 a.m.: what a [roomtoken.Manager] is
// doing, how the last hour went, and which rooms are in trouble and why.
//
//	page, err := statuspage.New(manager, statuspage.Config{Authorize: operatorsOnly})
//	...
//	defer page.Close()
//	mux.Handle("/debug/rooms", page)
//
// A [Page] is an [net/http.Handler] that answers on any path, since its links are query
// strings. Nothing on it can act: it has no script, loads nothing, and answers GET and
// HEAD only. It shows no token and no other secret of the Manager, but it does show room
// IDs and the errors of the source. So Config.Authorize is required; for a port that only
// operators reach, write [Anyone].
//
// # Formats
//
// A browser gets HTML, a client that accepts application/json gets JSON, and everybody
// else text, so that curl is readable. The parameter format decides otherwise. These are
// the parameters:
//
//	format   html, json or text
//	q        a part of the room ID, in any case
//	state    empty, valid, retrying, idle, failing, failed, stuck;
//	         trouble: retrying, failing, failed or stuck
//	sort     worst (the default): stuck, failed, failing, retrying, empty, valid, idle,
//	           then the least time left
//	         room: by ID
//	         left: the least time left first
//	         next: the soonest call first, those without one last
//	         failures: the most consecutive failures first
//	         used: the last used first
//	page     from 1 on; a page behind the last is empty
//	per      rooms per page: 1 to 1000, 100 if not set
//	refresh  seconds until a browser loads the page again: 0 (never) to 86400, 10 if not set
//
// Anything else in one of them is answered with status 400.
//
// # JSON
//
// The document is an object with these members. Times are in RFC 3339 and UTC, and null
// where there is none; texts are "" where there is none; errors are cut to 300 bytes.
//
//	generated_at  the time
//	title         Config.Title
//	stats         the fields of roomtoken.Stats in snake case, but the histograms
//	states        how many rooms are in each of the seven states, by its name
//	history       up to 360 samples, the oldest first: see below
//	rooms         the rooms of this page: the fields of roomtoken.RoomStatus in snake
//	              case, and left_ms: expires_at less generated_at, at least 0
//	total         rooms in memory
//	matching      those of them that q and state let through
//	page, pages   the number of this page, and how many there are
//
// A sample has the time (at); what was counted since the sample before (creates,
// create_failures, refreshes, refresh_failures, misses, lapses); rooms and states; how
// long the calls and waits that ended since then took, as upper bounds of the buckets of a
// roomtoken.Histogram, 0 where none ended (call_p50_ms, call_p99_ms, wait_p99_ms); and
// held: calls were held back at that moment, all of them or all but probes.
//
// # Cost
//
// Samples are taken from Manager.Stats, whose cost does not depend on the number of rooms.
// Looking at the page walks over all rooms. There is one walk at a time, however many
// look: viewers who come during a walk share the next one.
package statuspage
