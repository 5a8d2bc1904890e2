package statuspage

import (
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
)

// What cannot be is 400, names the parameter and what it may be, and is not repeated.
func TestQueriesThatCannotBe(t *testing.T) {
	within(t, Config{}, func(t *testing.T, w *world) {
		for query, want := range map[string]string{
			"format=xml":                      "format: want one of html, json, text",
			"format=HTML":                     "format: want",
			"state=dead":                      "state: want one of trouble, stuck, failed, failing, retrying, empty, valid, idle",
			"state=Valid":                     "state: want",
			"sort=size":                       "sort: want one of worst, room, left, next, failures, used",
			"page=0":                          "page: want a whole number from 1",
			"page=-1":                         "page: want",
			"page=1.5":                        "page: want",
			"page=%2B1":                       "page: want",
			"page=0x10":                       "page: want",
			"page=1_0":                        "page: want",
			"per=0":                           "per: want a whole number from 1 to 1000",
			"per=1001":                        "per: want",
			"per=1e2":                         "per: want",
			"per=99999999999999999999999999":  "per: want",
			"refresh=-1":                      "refresh: want a whole number from 0 to 86400",
			"refresh=86401":                   "refresh: want",
			"refresh=soon":                    "refresh: want",
			"refresh=10%0d%0aSet-Cookie:%20a": "refresh: want",
			"sort=room&sort=left":             "sort: want one value",
			"q=a&q=b":                         "q: want one value",
			"q=" + strings.Repeat("x", 4097):  "q: want at most 4096 bytes",
			"q=%zz":                           "the query string is malformed",
			"q=a;state=valid":                 "the query string is malformed",
			"sort=<script>&per=<script>":      "sort: want",
		} {
			r := httptest.NewRequest(http.MethodGet, "/", http.NoBody)
			r.URL.RawQuery = query
			answer := w.serve(r)
			body := answer.Body.String()
			if answer.Code != http.StatusBadRequest || !strings.Contains(body, want) || answer.Header().Get("Content-Type") != "text/plain; charset=utf-8" {
				t.Errorf("?%.40s: status %d, %q; want 400 and %q", query, answer.Code, body, want)
			}
			name, value, _ := strings.Cut(query, "=")
			value, _ = url.QueryUnescape(value)
			if rest := strings.ReplaceAll(body, name+": want", ""); len(value) > 3 && strings.Contains(rest, value) || strings.ContainsAny(body, "<>;%+\r") {
				t.Errorf("?%.40s: the answer repeats it: %q", query, body)
			}
		}
	})
}

// All parameters that are wrong are named at once.
func TestQueryErrorsAreJoined(t *testing.T) {
	_, err := parseQuery("sort=x&page=x&per=x&state=x&format=x&refresh=x")
	if err == nil || strings.Count(err.Error(), "\n") != 5 {
		t.Errorf("parseQuery = %v, want six errors", err)
	}
}

func TestQueriesThatCanBe(t *testing.T) {
	base := query{selector: selector{sort: "worst", page: 1, per: 100}, refresh: 10}
	with := func(change func(*query)) query {
		q := base
		change(&q)
		return q
	}
	for raw, want := range map[string]query{
		"": base,
		"q=&state=&sort=&page=&per=&refresh=&format=": base, // an empty form
		"unknown=1&utm_source=x":                      base,
		"q=Ab%2fc":                                    with(func(q *query) { q.contains = "Ab/c" }),
		"q=%ff%00":                                    with(func(q *query) { q.contains = "\xff\x00" }),
		"state=trouble&sort=used":                     with(func(q *query) { q.state, q.sort = "trouble", "used" }),
		"page=7&per=1000":                             with(func(q *query) { q.page, q.per = 7, 1000 }),
		"page=1000000001":                             with(func(q *query) { q.page = maxPage }),
		"page=99999999999999999999999999":             with(func(q *query) { q.page = maxPage }),
		"refresh=0&format=json":                       with(func(q *query) { q.refresh, q.format = 0, "json" }),
	} {
		if got, err := parseQuery(raw); err != nil || got != want {
			t.Errorf("parseQuery(%q) = %+v, %v; want %+v", raw, got, err, want)
		}
	}
}

// A link asks for what it was made from.
func TestLinksAskForTheSame(t *testing.T) {
	if link := (query{selector: selector{sort: "worst", page: 1, per: 100}, refresh: 10}).link(); link != "?" {
		t.Errorf("the default link is %q", link)
	}
	rng := rand.New(rand.NewPCG(1, 1))
	for _, part := range append(hostile, "") {
		q := query{
			selector: selector{
				contains: part, state: append(filters, "")[rng.IntN(len(filters)+1)], sort: orderNames[rng.IntN(len(orderNames))],
				page: 1 + rng.IntN(maxPage), per: 1 + rng.IntN(maxPer),
			},
			format: append(formats, "")[rng.IntN(4)], refresh: rng.IntN(maxRefresh + 1),
		}
		raw, ok := strings.CutPrefix(q.link(), "?")
		if got, err := parseQuery(raw); err != nil || got != q || !ok {
			t.Errorf("parseQuery(%s) = %+v, %v; want %+v", q.link(), got, err, q)
		}
	}
}

// HTML where it is named, JSON where it is named, else text; format decides otherwise.
func TestFormats(t *testing.T) {
	within(t, Config{}, func(t *testing.T, w *world) {
		for _, test := range []struct{ accept, query, want string }{
			{"", "", "text/plain"},
			{"*/*", "", "text/plain"},
			{"text/*", "", "text/plain"},
			{"text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,*/*;q=0.8", "", "text/html"},
			{"TEXT/HTML", "", "text/html"},
			{"application/json", "", "application/json"},
			{"application/json, text/plain, */*", "", "application/json"},
			{"application/json;charset=utf-8", "", "application/json"},
			{"application/json, text/html;q=0.5", "", "text/html"},
			{"text/html;q=0, application/json", "", "application/json"},
			{"text/html;q=0.000", "", "text/plain"},
			{"application/jsonlines", "", "text/plain"},
			{"text/html;=;;, \x00", "", "text/plain"},
			{"text/html", "format=json", "application/json"},
			{"text/html", "format=text", "text/plain"},
			{"application/json", "format=html", "text/html"},
			{"image/png", "format=html", "text/html"},
		} {
			r := httptest.NewRequest(http.MethodGet, "/?"+test.query, http.NoBody)
			for value := range strings.SplitSeq(test.accept, ", ") { // also as several lines
				r.Header.Add("Accept", value)
			}
			answer := w.serve(r)
			if got := answer.Header().Get("Content-Type"); answer.Code != http.StatusOK || !strings.HasPrefix(got, test.want) {
				t.Errorf("Accept: %s, ?%s: status %d, %s; want %s", test.accept, test.query, answer.Code, got, test.want)
			}
		}
	})
}
