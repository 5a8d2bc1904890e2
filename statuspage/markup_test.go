package statuspage

import (
	"encoding/xml"
	"errors"
	"io"
	"maps"
	"slices"
	"strings"
	"testing"
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

// hrefs returns the links with a text.
func hrefs(all []*element, text string) (links []string) {
	for _, e := range all {
		if e.name == "a" && e.text == text {
			links = append(links, e.attrs["href"])
		}
	}
	return links
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
