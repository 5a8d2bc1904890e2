package roomtoken

import (
	"strconv"
	"strings"
)

// timeFormat is how errors and events show a time.
const timeFormat = "2006-01-02T15:04:05.000Z07:00"

// shorten cuts a room ID to a length fit for messages.
func shorten(roomID string) string {
	return cut(roomID, 80)
}

// cut cuts a text to a number of bytes.
func cut(text string, most int) string {
	if len(text) <= most {
		return text
	}
	return strings.ToValidUTF8(text[:most], "") + "..."
}

// thousands prints a number that is not negative with commas: "4,990".
func thousands(n int) string {
	s := strconv.Itoa(n)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}
