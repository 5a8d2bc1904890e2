package statuspage

import (
	"strings"
	"testing"
)

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
