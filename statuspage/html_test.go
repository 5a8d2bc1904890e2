package statuspage

import (
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/roomtoken/roomtoken"
)

// element is an element of the page. The page is HTML that is also well-formed XML, so
// that the standard library can read it.
type element struct {
	name  string
	attrs map[string]string
	text  string // of it and of what is within
}

// elements returns all elements of a page, in order.
func elements(t *testing.T, page string) []*element {
	t.Helper()
	body, ok := strings.CutPrefix(page, "<!DOCTYPE html>\n")
	if !ok {
		t.Fatal("no DOCTYPE")
	}
	decoder := xml.NewDecoder(strings.NewReader(body))
	var all, open []*element
	for {
		token, err := decoder.Token()
		if errors.Is(err, io.EOF) {
			return all
		}
		if err != nil {
			t.Fatalf("%v in\n%s", err, page)
		}
		switch token := token.(type) {
		case xml.StartElement:
			e := &element{name: token.Name.Local, attrs: map[string]string{}}
			for _, attr := range token.Attr {
				e.attrs[attr.Name.Local] = attr.Value
			}
			all, open = append(all, e), append(open, e)
		case xml.EndElement:
			open = open[:len(open)-1]
		case xml.CharData:
			for _, e := range open {
				e.text += string(token)
			}
		default:
			t.Fatalf("a %T in the page", token)
		}
	}
}

// structure returns the names of the elements and of their attributes.
func structure(all []*element) string {
	var b strings.Builder
	for _, e := range all {
		b.WriteString(e.name)
		for _, name := range slices.Sorted(maps.Keys(e.attrs)) {
			b.WriteString(" " + name)
		}
		b.WriteByte('\n')
	}
	return b.String()
}

// texts returns the texts of the elements with a name and, unless it is "", a class.
func texts(all []*element, name, class string) (texts []string) {
	for _, e := range all {
		if e.name == name && (class == "" || e.attrs["class"] == class) {
			texts = append(texts, e.text)
		}
	}
	return texts
}

// viewOf returns a view of a room with texts chosen by somebody else.
func viewOf(roomID, errorText, title, contains string) *view {
	v := &view{
		title: title,
		every: defaultEvery,
		query: query{selector: selector{contains: contains, sort: "worst", page: 1, per: 100}, refresh: 10},
		now:   noon,
		rooms: []roomtoken.RoomStatus{{
			RoomID: roomID, State: roomtoken.RoomRetrying, Fingerprint: "0123456789ab", IssuedAt: noon.Add(-8 * time.Minute), ExpiresAt: noon.Add(2 * time.Minute),
			Failures: 2, FailingSince: noon.Add(-time.Minute), LastFailure: roomtoken.CallRefresh, LastError: errors.New(errorText), LastUsed: noon, Waiters: 1, Watchers: 2,
		}},
		total: 1, matching: 1,
	}
	v.stats.Rooms, v.stats.LastError, v.stats.LastErrorAt = 1, errors.New(errorText), noon
	v.stats.States[roomtoken.RoomRetrying] = 1
	return v
}

// harmless returns a text that is as empty as s.
func harmless(s string) string { return strings.Repeat("x", min(len(s), 1)) }

// checkHostile checks that the page is the same whatever its texts hold: in HTML the same
// elements, in text the same lines, and nothing in either that does not print.
func checkHostile(t *testing.T, roomID, errorText, title, contains string) {
	t.Helper()
	v := viewOf(roomID, errorText, title, contains)
	plain := viewOf(harmless(roomID), harmless(errorText), harmless(title), harmless(contains))
	page, err := v.html()
	if err != nil {
		t.Fatal(err)
	}
	want, err := plain.html()
	if err != nil {
		t.Fatal(err)
	}
	checkPrints(t, string(page))
	all := elements(t, string(page))
	if got, want := structure(all), structure(elements(t, string(want))); got != want {
		t.Errorf("the elements of the page change:\n%s\nwant\n%s", got, want)
	}
	texts := texts(all, "bdi", "")
	if !slices.Contains(texts, printable(roomID)) || errorText != "" && !slices.Contains(texts, "refresh: "+printableError(errors.New(errorText))) {
		t.Errorf("the page shows %q, want %q and %q", texts, printable(roomID), errorText)
	}
	for _, e := range all {
		if e.name == "input" && e.attrs["name"] == "q" && e.attrs["value"] != printable(contains) {
			t.Errorf("the form has %q, want %q", e.attrs["value"], printable(contains))
		}
	}

	text := string(v.text())
	checkPrints(t, text)
	if got, want := strings.Count(text, "\n"), strings.Count(string(plain.text()), "\n"); got != want {
		t.Errorf("%d lines of text, want %d:\n%s", got, want, text)
	}
	if !strings.Contains(text, printable(roomID)) {
		t.Errorf("the text lacks %q:\n%s", printable(roomID), text)
	}
	if document, err := v.json(); err != nil {
		t.Errorf("JSON: %s, %v", document, err)
	}
}

// checkPrints checks that a page has nothing that does not print.
func checkPrints(t *testing.T, page string) {
	t.Helper()
	if !utf8.ValidString(page) {
		t.Error("the page is no UTF-8")
	}
	if i := strings.IndexFunc(page, func(r rune) bool { return !unicode.IsPrint(r) && r != '\n' && r != '\t' }); i >= 0 {
		t.Errorf("the page does not print: %.80q", page[max(0, i-20):])
	}
}

func TestHostileTexts(t *testing.T) {
	for _, text := range hostile {
		checkHostile(t, text, text, text, text)
	}
}

func FuzzHostileTexts(f *testing.F) {
	for i, text := range hostile {
		f.Add(text, hostile[(i+7)%len(hostile)], hostile[(i+11)%len(hostile)], hostile[(i+13)%len(hostile)])
	}
	f.Add("r", "", "", "")
	f.Fuzz(checkHostile)
}

// Hostile room IDs from a Manager, with errors that repeat them.
func TestHostileRooms(t *testing.T) {
	within(t, Config{Title: "<title>\u202e"}, func(t *testing.T, w *world) {
		var lines int
		for i, id := range append(hostile, "a room") {
			w.src.Fail(fmt.Errorf("%w: %s", roomtoken.ErrRoomNotFound, id), 1)
			w.ask(id)
			text := w.get("/?format=text&per=1000")
			checkPrints(t, text)
			if n := strings.Count(text, "\n"); i > 0 && n != lines+i {
				t.Fatalf("%d lines of text with %d rooms, %d with one", n, i+1, lines)
			} else if i == 0 {
				lines = n
			}
			for _, part := range []string{id, printable(id)} { // as it is, and as it is shown
				q := query{selector: selector{contains: part, sort: "worst", page: 1, per: 1000}, format: formatText}
				if found := w.get("/" + q.link()); !strings.Contains(found, printable(id)) {
					t.Errorf("searching for %.80q does not find the room", part)
				}
			}
		}
		page := w.get("/?format=html&per=1000")
		checkPrints(t, page)
		ids := texts(elements(t, page), "th", "room")
		for _, id := range hostile {
			if !slices.Contains(ids, printable(id)) {
				t.Errorf("no row of %q", id)
			}
		}
		if len(ids) != len(hostile)+1 {
			t.Errorf("%d rows, want %d", len(ids), len(hostile)+1)
		}
		w.document("per=1000")
	})
}

// fullView returns a view with a room in each state and an hour of history, an outage
// in it.
func fullView() *view {
	v := viewOf("retrying-room", "no answer", "eu-1", "")
	for i, state := range states {
		if state != roomtoken.RoomRetrying {
			v.rooms = append(v.rooms, roomtoken.RoomStatus{RoomID: state.String() + "-room", State: state, LastUsed: noon.Add(-time.Minute)})
		}
		v.stats.States[state] = i + 1
		v.stats.Rooms += i + 1
	}
	for i := range maxSamples {
		s := sample{At: timestamp(noon.Add(time.Duration(i-maxSamples+1) * 10 * time.Second)), Rooms: v.stats.Rooms, States: stateCounts(v.stats.States)}
		s.Creates, s.Refreshes, s.Misses = uint64(i%7), uint64(i%5), uint64(i%3)
		s.CallP50, s.CallP99, s.WaitP99 = millis(25*time.Millisecond), millis(100*time.Millisecond), millis(time.Second)
		if i > 100 && i < 150 {
			s.Held, s.CreateFailures, s.States[roomtoken.RoomFailing] = true, 2, 20
		}
		v.history = append(v.history, s)
	}
	v.total, v.matching = v.stats.Rooms, v.stats.Rooms
	v.query.per = len(v.rooms)
	return v
}

// elements returns the elements of the view's HTML.
func (v *view) elements(t *testing.T) []*element {
	t.Helper()
	page, err := v.html()
	if err != nil {
		t.Fatal(err)
	}
	return elements(t, string(page))
}

// The page shows totals, states, charts, holds and rooms.
func TestHTMLShows(t *testing.T) {
	v := fullView()
	v.stats.HeldUntil, v.stats.RateLimited = noon.Add(40*time.Second), true
	v.stats.CallsInFlight, v.stats.CallsOverdue, v.stats.Creates, v.stats.CreateFailures = 7, 3, 1234, 56
	all := v.elements(t)
	body := texts(all, "body", "")[0]
	for _, want := range []string{
		"2026-07-01 12:00:00 UTC", "again every 10 s", "The last hour",
		"1 room is without a token, and a call that does not return", "3 rooms are without a token because calls fail",
		"The source limits the rate of calls. Calls are held back until 12:00:40 UTC, for 40 s.",
	} {
		if !strings.Contains(body, want) {
			t.Errorf("the page lacks %q:\n%s", want, body)
		}
	}
	if got := texts(all, "title", "")[0]; got != "(10) eu-1" {
		t.Errorf("title = %q, want the number of rooms in trouble", got)
	}
	if got := texts(all, "h1", "")[0]; got != "eu-1" {
		t.Errorf("h1 = %q", got)
	}
	if got := strings.Join(texts(all, "dt", ""), ", "); got != "Rooms, Callers who wait, Watches, Calls in flight, Calls in line, Calls allowed at a time, Last success, Last error, "+
		"Creates, Refreshes, Fallbacks to create, Callers who had to wait, Lapses of rooms in use, Tokens invalidated, Rooms evicted, Events dropped, Observer panics" {
		t.Errorf("totals: %s", got)
	}
	dds := texts(all, "dd", "")
	for _, want := range []string{"7 3 overdue", "1,234 56 failed", "0 s ago no answer"} {
		if !slices.Contains(dds, want) {
			t.Errorf("totals %q, want %q", dds, want)
		}
	}
	links := strings.Join(texts(all, "a", ""), ", ")
	if !strings.Contains(links, "1 stuck, 2 failed, 3 failing, 4 retrying, 5 empty, 6 valid, 7 idle") {
		t.Errorf("links: %s", links)
	}
	if got := strings.Join(texts(all, "figcaption", ""), "; "); got != "Rooms by state idle valid empty retrying failing failed stuck calls held back; "+
		"Rooms in trouble retrying failing failed stuck calls held back; Calls and failures begun failed calls held back; "+
		"Callers who had to wait callers lapses of rooms in use calls held back; How long calls took p99 p50 calls held back; How long callers waited p99 calls held back" {
		t.Errorf("charts: %s", got)
	}
	var rows []string
	for _, row := range texts(all, "tr", "") {
		rows = append(rows, strings.TrimSpace(row))
	}
	if rows[0] != "RoomStateTime leftNext callFailuresLast errorLast used" ||
		rows[1] != "retrying-roomtoken 0123456789ab\nretrying\n2 min2 min\n\n2since 1 min\nrefresh: no answer\n0 s ago1 caller, 2 watchers" ||
		rows[2] != "stuck-room\nstuck\n\n\n\n\n1 min ago" || len(rows) != 8 {
		t.Errorf("rows: %q", rows)
	}
	if got := texts(all, "caption", "")[0]; got != "1 to 7 of 29 rooms, worst first" {
		t.Errorf("caption = %q", got)
	}
	for _, e := range all {
		if e.name == "meter" && (e.attrs["value"] != "120000" || e.attrs["max"] != "600000" || e.attrs["min"] != "0" || e.attrs["low"] != "180000" || e.attrs["optimum"] != "600000") {
			t.Errorf("meter: %v, want 2 of 10 minutes", e.attrs)
		}
	}
	if n := len(texts(all, "meter", "")); n != 1 {
		t.Errorf("%d bars, want one: the other rooms have no token", n)
	}
}

// Nothing on the page can act, or is loaded from elsewhere, or depends on its path.
func TestHTMLCannotAct(t *testing.T) {
	for _, e := range fullView().elements(t) {
		switch e.name {
		case "script", "link", "img", "iframe", "object", "embed", "base", "use", "image", "foreignObject", "animate", "set":
			t.Errorf("the page has a %s", e.name)
		case "style":
			if strings.Contains(e.text, "url(") || strings.Contains(e.text, "@import") {
				t.Error("the stylesheet loads something")
			}
		case "form":
			if e.attrs["method"] != "" {
				t.Errorf("the form uses %s", e.attrs["method"])
			}
		}
		for name, value := range e.attrs {
			switch {
			case strings.HasPrefix(name, "on") || name == "style" || name == "src" || name == "srcset" || name == "target" || name == "formaction":
				t.Errorf("%s has %s=%q", e.name, name, value)
			case (name == "href" || name == "action") && !strings.HasPrefix(value, "?") && !strings.HasPrefix(value, "#"):
				t.Errorf("%s has %s=%q, want a query string", e.name, name, value)
			}
		}
	}
}

// The page has what a screen reader and a keyboard need.
func TestHTMLIsAccessible(t *testing.T) {
	all := fullView().elements(t)
	ids := map[string]bool{}
	for _, e := range all {
		if id := e.attrs["id"]; id != "" && ids[id] {
			t.Errorf("two elements have the ID %s", id)
		} else if id != "" {
			ids[id] = true
		}
	}
	charts := 0
	for i, e := range all {
		if by, ok := e.attrs["aria-labelledby"]; ok && !ids[by] {
			t.Errorf("%s is labelled by %s, which is not there", e.name, by)
		}
		if target, ok := strings.CutPrefix(e.attrs["href"], "#"); ok && !ids[target] {
			t.Errorf("a link leads to %s, which is not there", target)
		}
		switch e.name {
		case "html":
			if e.attrs["lang"] != "en" {
				t.Errorf("html: %v", e.attrs)
			}
		case "th":
			if scope := e.attrs["scope"]; scope != "row" && scope != "col" {
				t.Errorf("a heading of the table has the scope %q", scope)
			}
		case "svg":
			if e.attrs["viewBox"] != "" { // within a chart
				continue
			}
			charts++
			if title := all[i+1]; e.attrs["role"] != "img" || title.name != "title" || len(title.text) < 40 {
				t.Errorf("svg %v has no title that says what it shows, but %s %q", e.attrs, title.name, title.text)
			}
		case "input", "select":
			if e.attrs["type"] != "hidden" && all[i-1].name != "label" {
				t.Errorf("%s %v has no label", e.name, e.attrs)
			}
		case "a":
			if strings.TrimSpace(e.text) == "" {
				t.Errorf("a link has no text: %v", e.attrs)
			}
		case "span":
			if class := e.attrs["class"]; class != "" && e.attrs["aria-hidden"] != "true" {
				t.Errorf("the %s mark is read aloud", class)
			}
		case "h1", "h2", "h3":
			if e.name == "h3" {
				t.Error("a level of headings too many")
			}
		case "section", "nav":
			if e.attrs["aria-label"] == "" && e.attrs["aria-labelledby"] == "" {
				t.Errorf("a %s has no name", e.name)
			}
		}
	}
	if charts != 6 {
		t.Errorf("%d charts", charts)
	}
}

// metaRefresh returns the content of the page's meta refresh, "" if there is none.
func metaRefresh(all []*element) string {
	for _, e := range all {
		if e.attrs["http-equiv"] == "refresh" {
			return e.attrs["content"]
		}
	}
	return ""
}

// The page loads itself again, and can be stopped from doing so. What was asked for stays.
func TestHTMLRefreshes(t *testing.T) {
	within(t, Config{}, func(t *testing.T, w *world) {
		for params, want := range map[string]string{"": "10", "refresh=3": "3", "refresh=0": ""} {
			all := elements(t, w.get("/?format=html&sort=room&q=x&"+params))
			if got := metaRefresh(all); got != want {
				t.Errorf("?%s: refresh %q, want %q", params, got, want)
			}
			label, link := "pause", "?format=html&q=x&refresh=0&sort=room"
			if want == "" {
				label, link = "go on", "?format=html&q=x&sort=room"
			}
			i := slices.IndexFunc(all, func(e *element) bool { return e.name == "a" && e.text == label })
			if i < 0 || all[i].attrs["href"] != link {
				t.Errorf("?%s: no link %q to %s", params, label, link)
			}
		}
	})
}

// The form sends what was asked for, changed as the user likes.
func TestHTMLForm(t *testing.T) {
	within(t, Config{}, func(t *testing.T, w *world) {
		all := elements(t, w.get("/?format=html&refresh=5&q=a+b&state=failing&sort=used&per=7"))
		got := map[string]string{}
		sel := ""
		for _, e := range all {
			switch {
			case e.name == "input":
				got[e.attrs["name"]] = e.attrs["value"]
			case e.name == "select":
				sel = e.attrs["name"]
			case e.name == "option" && e.attrs["selected"] != "":
				got[sel] += e.attrs["value"]
			}
		}
		want := map[string]string{"format": "html", "refresh": "5", "q": "a b", "state": "failing", "sort": "used", "per": "7"}
		if !maps.Equal(got, want) {
			t.Errorf("the form sends %v, want %v", got, want)
		}
		if plain := elements(t, w.get("/?format=html")); strings.Contains(structure(plain), "input name type value\ninput name type value") {
			t.Error("the form repeats defaults")
		}
	})
}

// hrefs returns the links with a text.
func hrefs(all []*element, text string) (links []string) {
	for _, e := range all {
		if e.name == "a" && e.text == text {
			links = append(links, e.attrs["href"])
		}
	}
	return links
}

// Links lead to the other pages, and to other orders of the first one.
func TestHTMLLinks(t *testing.T) {
	within(t, Config{}, func(t *testing.T, w *world) {
		for i := range 25 {
			w.ask(fmt.Sprintf("r%02d", i))
		}
		for _, test := range []struct {
			page                        int
			first, previous, next, last string
			caption                     string
		}{
			{1, "1", "", "2", "3", "1 to 10 of 25 rooms, by room ID"},
			{2, "1", "1", "3", "3", "11 to 20 of 25 rooms, by room ID"},
			{3, "1", "2", "", "3", "21 to 25 of 25 rooms, by room ID"},
			{9, "1", "3", "", "3", "none of 25 rooms"},
		} {
			all := elements(t, w.get(fmt.Sprintf("/?format=html&per=10&sort=room&page=%d", test.page)))
			for label, to := range map[string]string{"first": test.first, "previous": test.previous, "next": test.next, "last": test.last} {
				var want []string
				if to != "" {
					want = []string{strings.Replace("?format=html&page="+to+"&per=10&sort=room#rooms", "&page=1&", "&", 1)}
				}
				if got := hrefs(all, label); !slices.Equal(got, want) {
					t.Errorf("page %d: %s leads to %q, want %q", test.page, label, got, want)
				}
			}
			if got := hrefs(all, "Failures"); !slices.Equal(got, []string{"?format=html&per=10&sort=failures#rooms"}) {
				t.Errorf("Failures leads to %q", got)
			}
			if got := texts(all, "caption", "")[0]; got != test.caption {
				t.Errorf("page %d: caption %q, want %q", test.page, got, test.caption)
			}
			sorted := map[string]string{}
			for _, e := range all {
				if e.attrs["aria-sort"] != "" {
					sorted[e.text] = e.attrs["aria-sort"]
				}
			}
			if !maps.Equal(sorted, map[string]string{"Room": "ascending"}) {
				t.Errorf("aria-sort: %v", sorted)
			}
		}
		all := elements(t, w.get("/?format=html&q=r0"))
		if n := len(texts(all, "nav", "")); n != 0 {
			t.Errorf("%d lists of pages where there is one page", n)
		}
		if got := texts(all, "caption", "")[0]; got != "1 to 10 of 10 rooms that match, of 25 in all, worst first" {
			t.Errorf("caption %q", got)
		}
		if got := hrefs(all, "all rooms"); !slices.Equal(got, []string{"?format=html#rooms"}) {
			t.Errorf("all rooms leads to %q", got)
		}
	})
}

// An hour of history and a hundred rooms in trouble fit into 200,000 bytes in every
// format.
func TestSize(t *testing.T) {
	v := fullView()
	for len(v.rooms) < 100 {
		room := v.rooms[0]
		room.RoomID = fmt.Sprintf("0ccc7b54-4df3-4bca-a65a-%012d", len(v.rooms))
		room.LastError = errors.New(strings.Repeat("e", 300))
		v.rooms = append(v.rooms, room)
	}
	for i := range v.history {
		s := &v.history[i]
		s.Creates, s.CreateFailures, s.Refreshes, s.RefreshFailures, s.Misses = uint64(1000+i), uint64(100+i), uint64(2000+i*i), uint64(100+i), uint64(500+i)
		s.Rooms = 100_000
		s.States = stateCounts{0, 1000 + i, 90_000 - 7*i, 1000 + i, 1000 + i, 1000 + i, 1000 + i, 1000 + i}
		s.At = timestamp(time.Time(s.At).Add(123 * time.Millisecond))
	}
	for _, format := range formats {
		page, err := v.render(format)
		if err != nil || len(page) > 200_000 {
			t.Errorf("%s: %d bytes, %v; want at most 200,000", format, len(page), err)
		}
		t.Logf("%s: %d bytes", format, len(page))
	}
}
