package statuspage

import (
	"bytes"
	"crypto/sha256"
	_ "embed" // the template and the stylesheet
	"encoding/base64"
	"fmt"
	"html/template"
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
		States:   v.stateLinks(),
		Span:     v.period(),
		Width:    maxSamples,
		Height:   chartHeight,
		Charts:   v.charts(),
		Gauges:   gauges,
		Counters: counters,
		Contains: printable(q.contains),
		Selects:  v.selects(),
		Hidden:   v.hidden(),
		Caption:  v.caption(),
		Columns:  v.columns(),
		Rows:     v.rows(),
		Pages:    v.pageLinks(),
	}
	if q.contains != "" || q.state != "" {
		page.Reset = q.rooms(func(q *query) { q.contains, q.state, q.page = "", "", 1 })
	}
	var b bytes.Buffer
	err := pageTemplate.Execute(&b, page)
	return b.Bytes(), err
}

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
