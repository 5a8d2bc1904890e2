package e2e_test

import (
	_ "embed"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/chromedp/cdproto/accessibility"
)

//go:embed testdata/checks.js
var checks string

// look shows the page on all screens, takes screenshots, and checks what can be checked.
func (b *tab) look(name string) {
	b.t.Helper()
	for _, s := range screens {
		b.show(s)
		b.screenshot(name + "-" + s.String())
		for _, complaint := range eval[[]string](b, checks+"; checks.all()") {
			b.t.Errorf("%s on %v: %s", name, s, complaint)
		}
	}
	for _, width := range []int64{320, 600, 768, 1024} { // and whatever lies between
		b.show(screen{width: width, height: 800, scale: 1})
		for _, complaint := range eval[[]string](b, "checks.width()") {
			b.t.Errorf("%s: %s", name, complaint)
		}
	}
	for _, complaint := range b.complaintsOfScreenReader() {
		b.t.Errorf("%s: %s", name, complaint)
	}
}

// complaintsOfScreenReader checks that all that one can operate has a name, and that there
// are a main part, and a language.
func (b *tab) complaintsOfScreenReader() (complaints []string) {
	b.t.Helper()
	roles := map[string]int{}
	for _, node := range call(b, accessibility.GetFullAXTree, accessibility.GetFullAXTreeParams{}).Nodes {
		if node.Ignored {
			continue
		}
		role := axText(node.Role)
		roles[role]++
		if slices.Contains(named, role) && axText(node.Name) == "" {
			complaints = append(complaints, "a "+role+" has no name")
		}
	}
	if roles["main"] != 1 || roles["heading"] == 0 {
		complaints = append(complaints, fmt.Sprintf("the roles are %v", roles))
	}
	if lang := eval[string](b, "document.documentElement.lang"); lang != "en" {
		complaints = append(complaints, fmt.Sprintf("lang is %q", lang))
	}
	return complaints
}

// named are the roles that need a name.
var named = []string{"button", "link", "textbox", "searchbox", "combobox", "image", "region", "navigation", "log"}

// axText returns a value of the accessibility tree that is a string.
func axText(value *accessibility.Value) string {
	if value == nil {
		return ""
	}
	return strings.Trim(string(value.Value), `"`)
}

// What the tests rely on is noticed: errors in the console, exceptions, what a policy forbids,
// text without contrast, things that are too small or too wide, and buttons without a name.
func TestFaultsAreNoticed(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html")
		w.Header().Set("Content-Security-Policy", "default-src 'none'; script-src 'nonce-x'; style-src 'nonce-x'")
		_, _ = io.WriteString(w, `<!DOCTYPE html>
			<title>faults</title>
			<style nonce="x">p { color: #999; width: 3000px } button { width: 20px }</style>
			<main><h1>Faults</h1><p>pale</p><button></button></main>
			<script>forbidden()</script>
			<script nonce="x">console.error("complaint"); setTimeout(() => { throw new Error("thrown") })</script>`)
	}))
	defer server.Close()
	b := newTab(t)
	for _, part := range []string{"complaint", "thrown", "Content Security Policy", "ContentSecurityPolicyIssue"} {
		b.expect(part)
	}
	b.open(server.URL)
	noticed := func(part string) bool {
		b.mu.Lock()
		defer b.mu.Unlock()
		return slices.ContainsFunc(b.reports, func(report string) bool { return strings.Contains(report, part) })
	}
	for _, part := range []string{"complaint", "thrown", "Content Security Policy", "ContentSecurityPolicyIssue"} {
		if !eventually(t, func() bool { return noticed(part) }) {
			t.Errorf("no report has %q", part)
		}
	}
	b.show(screens[0])
	complaints := append(eval[[]string](b, checks+"; checks.all()"), b.complaintsOfScreenReader()...)
	for _, part := range []string{"px wide", "contrast", "20 x", "button has no name", "lang"} {
		if !slices.ContainsFunc(complaints, func(c string) bool { return strings.Contains(c, part) }) {
			t.Errorf("no complaint has %q: %q", part, complaints)
		}
	}
}
