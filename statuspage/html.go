package statuspage

import (
	"bytes"
	"crypto/sha256"
	_ "embed" // the template and the stylesheet
	"encoding/base64"
	"fmt"
	"html/template"
	"slices"
	"strconv"
	"time"
)

var (
	//go:embed page.css
	stylesheet string

	//go:embed page.html
	pageHTML string

	pageTemplate = template.Must(template.New("page").Parse(pageHTML))
)

// contentSecurityPolicy allows the stylesheet and the form, and nothing else.
var contentSecurityPolicy = fmt.Sprintf("default-src 'none'; style-src '%s'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'", hashSource(stylesheet))

// hashSource returns the source expression of a Content-Security-Policy that allows an
// inline style.
func hashSource(style string) string {
	sum := sha256.Sum256([]byte(style))
	return "sha256-" + base64.StdEncoding.EncodeToString(sum[:])
}

// htmlPage is what the template shows.
type htmlPage struct {
	Style         template.CSS
	Title, Tab    string
	Now           string
	Refresh       int
	Pause, Resume string // links, like those below
	JSON, Text    string
	Notes         []note
	States        []stateLink
	Span          string
	Width, Height int // of the charts
	Charts        []chart
	Gauges        []total
	Counters      []total
	Contains      string
	Selects       []selectBox
	Hidden        []parameter
	Reset         string
	Caption       string
	Columns       []column
	Rows          []row
	Pages         []pageLink
}

// stateLink leads to the rooms in a state.
type stateLink struct{ Name, Count, Link string }

// selectBox is one of the choices of the form.
type selectBox struct {
	Label, Name string
	Options     []option
}

type option struct {
	Value, Label string
	Selected     bool
}

// parameter goes with the form as it is.
type parameter struct{ Name, Value string }

// column is a column of the table. Link sorts by it; Sorted is its aria-sort.
type column struct{ Label, Link, Sorted string }

// pageLink leads to another page of the rooms.
type pageLink struct{ Label, Link string }

// html returns the page as HTML.
func (v *view) html() ([]byte, error) {
	q := v.query
	gauges, counters := v.totals()
	page := htmlPage{
		Style:    template.CSS(stylesheet), //nolint:gosec // it is our own
		Title:    printable(v.title),
		Tab:      v.tab(),
		Now:      v.now.Format(time.DateTime),
		Refresh:  q.refresh,
		Pause:    q.with(func(q *query) { q.refresh = 0 }),
		Resume:   q.with(func(q *query) { q.refresh = defaultRefresh }),
		JSON:     q.with(func(q *query) { q.format = formatJSON }),
		Text:     q.with(func(q *query) { q.format = formatText }),
		Notes:    v.notes(),
		Span:     v.period(),
		Width:    maxSamples,
		Height:   chartHeight,
		Charts:   v.charts(),
		Gauges:   gauges,
		Counters: counters,
		Contains: printable(q.contains),
		Selects:  v.selects(),
		Caption:  v.caption(),
		Columns:  v.columns(),
		Rows:     v.rows(),
		Pages:    v.pageLinks(),
	}
	for _, state := range states {
		link := q.rooms(func(q *query) { q.state, q.page = state.String(), 1 })
		page.States = append(page.States, stateLink{state.String(), count(v.stats.States[state]), link})
	}
	if q.format != "" {
		page.Hidden = append(page.Hidden, parameter{"format", q.format})
	}
	if q.refresh != defaultRefresh {
		page.Hidden = append(page.Hidden, parameter{"refresh", strconv.Itoa(q.refresh)})
	}
	if q.contains != "" || q.state != "" {
		page.Reset = q.rooms(func(q *query) { q.contains, q.state, q.page = "", "", 1 })
	}
	var b bytes.Buffer
	err := pageTemplate.Execute(&b, page)
	return b.Bytes(), err
}

// with returns a link to a changed query.
func (q query) with(change func(*query)) string {
	change(&q)
	return q.link()
}

// rooms returns a link to the rooms of a changed query.
func (q query) rooms(change func(*query)) string { return q.with(change) + "#rooms" }

// tab returns the title of the document, which begins with the number of rooms in trouble.
func (v *view) tab() string {
	n := 0
	for _, state := range troubles {
		n += v.stats.States[state]
	}
	if n == 0 {
		return printable(v.title)
	}
	return fmt.Sprintf("(%s) %s", count(n), printable(v.title))
}

// selects are the choices of the form.
func (v *view) selects() []selectBox {
	q := v.query
	state := selectBox{Label: "State", Name: "state", Options: []option{{"", "any", q.state == ""}, {trouble, "in trouble", q.state == trouble}}}
	for _, s := range states {
		state.Options = append(state.Options, option{s.String(), s.String(), q.state == s.String()})
	}
	sort := selectBox{Label: "Order", Name: "sort"}
	for _, o := range orders {
		sort.Options = append(sort.Options, option{o.name, o.label, q.sort == o.name})
	}
	per := selectBox{Label: "Per page", Name: "per"}
	choices := []int{20, 100, 500, maxPer, q.per}
	slices.Sort(choices)
	for _, n := range slices.Compact(choices) {
		per.Options = append(per.Options, option{strconv.Itoa(n), count(n), q.per == n})
	}
	return []selectBox{state, sort, per}
}

// caption says which rooms there are below it.
func (v *view) caption() string {
	of := "of " + some(v.matching, "room")
	if v.matching < v.total {
		of = fmt.Sprintf("of %s that match, of %s in all", some(v.matching, "room"), count(v.total))
	}
	if len(v.rooms) == 0 {
		return "none " + of
	}
	first := (v.query.page - 1) * v.query.per
	return fmt.Sprintf("%s to %s %s, %s", count(first+1), count(first+len(v.rooms)), of, orderOf(v.query.sort).label)
}

// columns are the columns of the table.
func (v *view) columns() []column {
	columns := []column{
		{"Room", "room", "ascending"},
		{"State", "worst", "other"},
		{"Time left", "left", "ascending"},
		{"Next call", "next", "ascending"},
		{"Failures", "failures", "descending"},
		{"Last error", "", ""},
		{"Last used", "used", "descending"},
	}
	for i := range columns {
		c := &columns[i]
		name := c.Link
		if name == "" {
			continue
		}
		c.Link = v.query.rooms(func(q *query) { q.sort, q.page = name, 1 })
		if v.query.sort != name {
			c.Sorted = ""
		}
	}
	return columns
}

// pageLinks lead to the other pages, if there are any.
func (v *view) pageLinks() []pageLink {
	page, pages := v.query.page, v.pages()
	if page == 1 && pages <= 1 {
		return nil
	}
	to := func(label string, n int) pageLink {
		if n < 1 || n > pages {
			return pageLink{Label: label}
		}
		return pageLink{label, v.query.rooms(func(q *query) { q.page = n })}
	}
	return []pageLink{
		to("first", 1),
		to("previous", min(page-1, pages)),
		{Label: fmt.Sprintf("page %s of %s", count(page), count(max(pages, 1)))},
		to("next", page+1),
		to("last", pages),
	}
}
