package telnyx

import (
	"strings"
	"testing"
)

// Converting non-ASCII text to lower case can change its length: offsets in the result
// must not be used in the original.
func TestHTMLTitleAfterNonASCIIText(t *testing.T) {
	for _, before := range []string{strings.Repeat("\xe9", 100), strings.Repeat("Ⱥ", 100), "caf\xe9", "KELVIN \u212a"} {
		fault := decodeErrorBody([]byte("<HTML><!-- " + before + " --><TITLE>429 Too Many</TITLE></HTML>"))
		if !strings.Contains(string(fault.Title)+string(fault.Detail), "429 Too Many") {
			t.Errorf("after %q: title %q, detail %q", before[:4], fault.Title, fault.Detail)
		}
	}
}
