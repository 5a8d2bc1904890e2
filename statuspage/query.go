package statuspage

import (
	"errors"
	"fmt"
	"math"
	"mime"
	"net/url"
	"slices"
	"strconv"
	"strings"
)

// query is what the parameters of a request ask for.
type query struct {
	selector
	format  string // "" leaves it to the Accept header
	refresh int    // seconds after which a browser asks again; 0: it does not
}

// selector says which rooms are wanted. It is comparable: viewers with the same one share
// a result.
type selector struct {
	contains string // a part of the room ID, in any case
	state    string // the name of a state, "trouble", or "" for all
	sort     string // a name in orders
	page     int    // from 1 on
	per      int    // rooms per page
}

// The formats in which the page can be had.
const (
	formatHTML = "html"
	formatJSON = "json"
	formatText = "text"
)

var formats = []string{formatHTML, formatJSON, formatText}

const (
	defaultPer     = 100
	defaultRefresh = 10

	maxContains = 4 * 1024      // bytes: a room ID has 1,024, and 4 of an escape show one of them
	maxPage     = 1_000_000_000 // as good as any beyond it: all are behind the last
	maxPer      = 1000
	maxRefresh  = 24 * 60 * 60
)

// parseQuery returns what the parameters ask for, or an error that names every one that
// cannot be. It does not repeat their values. Parameters that it does not know are
// ignored; empty ones, as a form sends them, have their default.
func parseQuery(raw string) (query, error) {
	values, err := url.ParseQuery(raw)
	if err != nil { // its text repeats the input
		return query{}, errors.New("the query string is malformed")
	}
	p := params{values: values}
	q := query{
		selector: selector{
			contains: p.text("q", maxContains),
			state:    p.oneOf("state", "", filters),
			sort:     p.oneOf("sort", orders[0].name, orderNames),
			page:     min(p.number("page", 1, 1, math.MaxInt), maxPage),
			per:      p.number("per", defaultPer, 1, maxPer),
		},
		format:  p.oneOf("format", "", formats),
		refresh: p.number("refresh", defaultRefresh, 0, maxRefresh),
	}
	return q, errors.Join(p.errs...)
}

// params reads the parameters of a request and collects what is wrong with them.
type params struct {
	values url.Values
	errs   []error
}

// get returns the parameter's value, "" if there is none or an empty one.
func (p *params) get(name string) string {
	given := p.values[name]
	if len(given) > 1 {
		p.refuse(name, "one value")
	}
	return p.values.Get(name)
}

func (p *params) refuse(name, want string) {
	p.errs = append(p.errs, fmt.Errorf("%s: want %s", name, want))
}

func (p *params) text(name string, most int) string {
	value := p.get(name)
	if len(value) > most {
		p.refuse(name, fmt.Sprintf("at most %d bytes", most))
	}
	return value
}

func (p *params) oneOf(name, otherwise string, names []string) string {
	value := p.get(name)
	switch {
	case value == "":
		return otherwise
	case !slices.Contains(names, value):
		p.refuse(name, "one of "+strings.Join(names, ", "))
	}
	return value
}

// number returns a number from least to most, which math.MaxInt leaves open.
func (p *params) number(name string, otherwise, least, most int) int {
	value := p.get(name)
	if value == "" {
		return otherwise
	}
	n, err := strconv.ParseUint(value, 10, strconv.IntSize-1)
	switch {
	case most == math.MaxInt && errors.Is(err, strconv.ErrRange):
		return most
	case err != nil || int(n) < least || int(n) > most:
		want := fmt.Sprintf("a whole number from %d", least)
		if most < math.MaxInt {
			want += fmt.Sprintf(" to %d", most)
		}
		p.refuse(name, want)
	}
	return int(n)
}

// link returns the query string that asks for the same.
func (q query) link() string {
	values := url.Values{}
	set := func(name, value, otherwise string) {
		if value != otherwise {
			values.Set(name, value)
		}
	}
	set("q", q.contains, "")
	set("state", q.state, "")
	set("sort", q.sort, orders[0].name)
	set("page", strconv.Itoa(q.page), "1")
	set("per", strconv.Itoa(q.per), strconv.Itoa(defaultPer))
	set("format", q.format, "")
	set("refresh", strconv.Itoa(q.refresh), strconv.Itoa(defaultRefresh))
	return "?" + values.Encode()
}

// accepted returns the format that the values of an Accept header name: HTML before JSON,
// and text where they name neither, as curl does.
func accepted(accept []string) string {
	named := make(map[string]bool)
	for part := range strings.SplitSeq(strings.Join(accept, ","), ",") {
		mediaType, params, err := mime.ParseMediaType(part)
		if weight, err := strconv.ParseFloat(params["q"], 64); err == nil && weight == 0 {
			continue // named as not acceptable
		}
		if err == nil {
			named[mediaType] = true
		}
	}
	switch {
	case named["text/html"]:
		return formatHTML
	case named["application/json"]:
		return formatJSON
	default:
		return formatText
	}
}
