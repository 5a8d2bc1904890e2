package screen

import "strings"

// wrap breaks text into lines of at most width characters, at spaces where there are any.
// The last of at most limit lines has what is left of the text. Limit 0 is none.
func wrap(text string, width, limit int) []string {
	var lines []string
	for text != "" {
		line := text
		if text = ""; len(lines)+1 != limit {
			line, text = split(line, max(width, 1))
		}
		lines = append(lines, line)
	}
	return lines
}

// split returns the first line of text, and the rest of it.
func split(text string, width int) (first, rest string) {
	runes := []rune(text)
	if len(runes) <= width {
		return text, ""
	}
	if at := strings.LastIndexByte(string(runes[:width+1]), ' '); at > 0 {
		return text[:at], text[at+1:]
	}
	return string(runes[:width]), string(runes[width:])
}
