package roomtoken

import "testing"

func TestThousands(t *testing.T) {
	for n, want := range map[int]string{0: "0", 999: "999", 1000: "1,000", 12345: "12,345", 1234567: "1,234,567"} {
		if got := thousands(n); got != want {
			t.Errorf("thousands(%d) = %s, want %s", n, got, want)
		}
	}
}

func TestCut(t *testing.T) {
	for text, want := range map[string]string{"abcd": "abcd", "abcde": "abcd...", "abc€": "abc..."} {
		if got := cut(text, 4); got != want {
			t.Errorf("cut(%q, 4) = %q, want %q", text, got, want)
		}
	}
}
