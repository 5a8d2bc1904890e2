package screen

import (
	"strings"
	"testing"
)

func TestWrap(t *testing.T) {
	for _, tt := range []struct {
		text         string
		width, limit int
		want         string
	}{
		{"", 5, 0, ""},
		{"abcde", 5, 0, "abcde"},
		{"abcde f", 5, 0, "abcde|f"},
		{"ab cd ef", 5, 0, "ab cd|ef"},
		{"abcdefgh ij", 5, 0, "abcde|fgh|ij"},
		{"äöü äöü", 4, 0, "äöü|äöü"},
		{"ab", 0, 0, "a|b"},
		{" a b c", 1, 0, " |a|b|c"},
		{"a b c d", 1, 2, "a|b c d"},
		{"a b c d", 1, 1, "a b c d"},
	} {
		if got := strings.Join(wrap(tt.text, tt.width, tt.limit), "|"); got != tt.want {
			t.Errorf("wrap(%q, %d, %d) = %q, want %q", tt.text, tt.width, tt.limit, got, tt.want)
		}
	}
}
