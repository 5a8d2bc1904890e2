package telnyx

import (
	"fmt"
	"strings"
	"testing"
)

func TestMembers(t *testing.T) {
	long := `"` + strings.Repeat("x", 300) + `\u0061"`
	for object, want := range map[string]string{
		`{}`:                             ``,
		` { "a" : 1 , "b":[1,{"c":2}] }`: `a=1 b=[1,{"c":2}] `,
		`{"\u0061":"x\"y","b":"\\"}`:     `a="x\"y" b="\\" `,
		`{"a\/b":null}`:                  `a\/b=null `,
		`{` + long + `:1}`:               long[1:len(long)-1] + `=1 `,

		// Malformed: what is found.
		``:              ``,
		`[]`:            ``,
		`{"a"}`:         ``,
		`{"a":1`:        `a=1 `,
		`{"a":1,`:       `a=1 `,
		`{x:1}`:         `x=1 `,
		`{"a":"b`:       `a="b `,
		`{"a":{"b":1`:   `a={"b":1 `,
		`{"a":1]"b":2}`: `a=1 `,
	} {
		var got strings.Builder
		for name, value := range members([]byte(object)) {
			fmt.Fprintf(&got, "%s=%s ", name, value)
		}
		if got.String() != want {
			t.Errorf("%s: got %q; want %q", object, got.String(), want)
		}
		for range members([]byte(object)) {
			break // is allowed
		}
	}
}
