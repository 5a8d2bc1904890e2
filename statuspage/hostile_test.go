package statuspage

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/roomtoken/roomtoken"
)

// hostile are room IDs and texts of errors that try to be more than a text.
var hostile = []string{
	`<script>alert(1)</script>`,
	`</title></style></th></table><h1>`,
	`" onmouseover="alert(1)`,
	`' autofocus='`,
	"<!--", "-->", "]]>", "<![CDATA[", "&lt;b&gt;&#x202e;&amp",
	"javascript:alert(1)", "{{.}}", `${x}`, "`", `\`, `\n`, `\u202e`,
	"two\nlines", "two\r\nlines", "\x00", "tab\tbell\a\x1b[31mred", "\x7f", "\u0085next\u2028line\u2029paragraph",
	"\u202egnp.exe", "\u2066a\u2069\u200f\u061c", "zero\u200bwidth\ufeff", "\U000e0041tag", "\ufffd", "\ue000",
	"invalid\xff\xc3utf8", "\xf0\x9f\x92", "\xed\xa0\x80",
	"שלום", "مرحبا", "日本語", "🎥", "a\u0338\u0300\u0301",
	" leading and  inner  spaces ", "%s%n%!", "../../?q=1#f", "?state=failed&q=", "NaN", "null", "-",
	strings.Repeat("x", 1024), strings.Repeat("\x00", 1024), strings.Repeat("\xff", 1024), strings.Repeat("\u202e", 341),
	strings.Repeat("<", 1024), strings.Repeat("é", 512),
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
