package statuspage

import (
	"fmt"
	"slices"
	"strconv"
)

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

// with returns a link to a changed query.
func (q query) with(change func(*query)) string {
	change(&q)
	return q.link()
}

// rooms returns a link to the rooms of a changed query.
func (q query) rooms(change func(*query)) string { return q.with(change) + "#rooms" }

// stateLinks lead to the rooms in each state, the worst first.
func (v *view) stateLinks() (links []stateLink) {
	for _, state := range states {
		link := v.query.rooms(func(q *query) { q.state, q.page = state.String(), 1 })
		links = append(links, stateLink{state.String(), count(v.stats.States[state]), link})
	}
	return links
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

// hidden are the parameters that the form keeps as they are.
func (v *view) hidden() (all []parameter) {
	if v.query.format != "" {
		all = append(all, parameter{"format", v.query.format})
	}
	if v.query.refresh != defaultRefresh {
		all = append(all, parameter{"refresh", strconv.Itoa(v.query.refresh)})
	}
	return all
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
