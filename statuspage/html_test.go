package statuspage

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/roomtoken/roomtoken"
)

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
