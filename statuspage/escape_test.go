package statuspage

import (
	"errors"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"
)

func TestPrintable(t *testing.T) {
	for in, want := range map[string]string{
		"":                         "",
		"lobby 7":                  "lobby 7",
		`C:\n"quoted" 'x' <b>&`:    `C:\n"quoted" 'x' <b>&`,
		"日本語 é שלום 🎥 a\u0301":     "日本語 é שלום 🎥 a\u0301",
		"a\nb\r\tc":                `a\nb\r\tc`,
		"\x00\x1b[31m\x7f":         `\x00\x1b[31m\x7f`,
		"\u0085\u2028\u2029":       `\u0085\u2028\u2029`,
		"\u202ea\u2066b\u200f":     `\u202ea\u2066b\u200f`,
		"\u00a0\u200b\ufeff\u00ad": `\u00a0\u200b\ufeff\u00ad`,
		"\U000e0041\ue000":         `\U000e0041\ue000`,
		"a\xffb\xc3":               `a\xffb\xc3`,
		"lobby\u3164\u2800\ufe0f":  `lobby\u3164\u2800\ufe0f`, // invisible
		"\ufffd":                   "\ufffd",
		"\xed\xa0\x80":             `\xed\xa0\x80`,
	} {
		if got := printable(in); got != want {
			t.Errorf("printable(%q) = %q, want %q", in, got, want)
		}
	}
}

func FuzzPrintable(f *testing.F) {
	for _, s := range hostile {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		got := printable(s)
		if !utf8.ValidString(got) || strings.ContainsFunc(got, func(r rune) bool { return !unicode.IsPrint(r) }) {
			t.Errorf("printable(%q) = %q, which does not print", s, got)
		}
		if again := printable(got); again != got {
			t.Errorf("printable(%q) = %q, and that of it %q", s, got, again)
		}
	})
}

// shouting is an error whose method panics.
type shouting struct{}

func (shouting) Error() string { panic("aaah") }

func TestErrorText(t *testing.T) {
	long := strings.Repeat("x", 299)
	for _, test := range []struct {
		err       error
		want      string
		cut       bool
		printable string
	}{
		{nil, "", false, ""},
		{errors.New(""), "", false, ""},
		{errors.New("a\nb"), "a\nb", false, `a\nb`},
		{errors.New(long + "y"), long + "y", false, long + "y"},
		{errors.New(long + "yz"), long + "y", true, long + "y…"},
		{errors.New(long + "éz"), long, true, long + "…"}, // no half of a rune
		{errors.New(strings.Repeat("\x80", 400)), strings.Repeat("\x80", 296), true, strings.Repeat(`\x80`, 296) + "…"},
		{shouting{}, "%!v(PANIC=Error method: aaah)", false, "%!v(PANIC=Error method: aaah)"},
	} {
		text, cut := cutError(errorText(test.err))
		if text != test.want || cut != test.cut {
			t.Errorf("errorText = %q, %v; want %q, %v", text, cut, test.want, test.cut)
		}
		if got := jsonError(test.err); len(got) > maxErrorText || !utf8.ValidString(got) {
			t.Errorf("jsonError = %q", got)
		}
		if got := printableError(test.err); got != test.printable {
			t.Errorf("printableError = %q, want %q", got, test.printable)
		}
	}
}
