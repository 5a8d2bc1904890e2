package tokenpack

import (
	"bytes"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"strconv"
)

// A template is the header and the claims of a token, as JSON, with a mark in the place
// of each value. The values follow one another in the packed token, and after them
// comes the signature.
//
// The marks are control characters, which valid JSON does not contain.
const (
	endOfPart byte = iota // the end of the header, and that of the claims
	uuid                  // value: 16 bytes
	number                // value: a varint
	word                  // value: its length as a varint, its bytes
	marks                 // how many there are
)

// A value is what is likely to differ in the next token: a word of letters, digits, '-'
// and '_' that has a digit in it and is
//   - a UUID in lower case, or
//   - a number of 6 to 19 digits, such as a time; one with more may not fit into 64 bits, or
//   - at least 16 bytes long, such as a random identifier.
//
// Names such as Ed25519, telnyx_access_token and 1.0.0 stay in the template.
const (
	minNumber, maxNumber = 6, 19
	minWord              = 16
)

// split appends the template of a header, or of claims, to template, and its values to
// values. It does not look for marks in text: join makes another token then, and Pack
// compares them.
func split(template, values, text []byte) ([]byte, []byte) {
	done := 0             // text[:done] is in template and values
	begin, digits := 0, 0 // of the word; JSON does not end with one
	for i, b := range text {
		switch {
		case '0' <= b && b <= '9':
			digits++
			continue
		case 'a' <= b && b <= 'z' || 'A' <= b && b <= 'Z' || b == '-' || b == '_':
			continue
		}
		if digits > 0 {
			if mark, more := appendValue(values, text[begin:i], digits); mark != 0 {
				template = append(append(template, text[done:begin]...), mark)
				values, done = more, i
			}
		}
		begin, digits = i+1, 0
	}
	return append(append(template, text[done:]...), endOfPart), values
}

// join appends the token with this template and these values to token. It is the inverse
// of split. ok is false if the values cannot be those of a token with this template.
func join(token, template, values []byte) (_ []byte, ok bool) {
	text := make([]byte, 0, maxToken)
	done := 0 // template[:done] is in token and text
	for i, mark := range template {
		if mark >= marks {
			continue
		}
		text = append(text, template[done:i]...)
		done = i + 1
		if mark == endOfPart {
			token = append(base64.RawURLEncoding.AppendEncode(token, text), '.')
			text = text[:0]
		} else if text, values, ok = takeValue(text, values, mark); !ok {
			return nil, false
		}
	}
	return base64.RawURLEncoding.AppendEncode(token, values), true
}

// appendValue appends the word, which has this number of digits, to values, and returns
// its mark. If it is no value, the mark is 0.
func appendValue(values, text []byte, digits int) (mark byte, _ []byte) {
	if id, ok := parseUUID(text); ok {
		return uuid, append(values, id[:]...)
	}
	if n, ok := parseNumber(text, digits); ok {
		return number, binary.AppendUvarint(values, n)
	}
	if len(text) < minWord {
		return 0, nil
	}
	values = binary.AppendUvarint(values, uint64(len(text)))
	return word, append(values, text...)
}

// takeValue appends the text of the first of values, which has this mark, and returns
// the values after it. It is the inverse of appendValue.
func takeValue(text, values []byte, mark byte) (_, rest []byte, ok bool) {
	if mark == uuid {
		if len(values) < 16 {
			return nil, nil, false
		}
		return appendUUID(text, values[:16]), values[16:], true
	}
	n, size := binary.Uvarint(values)
	if size <= 0 {
		return nil, nil, false
	}
	values = values[size:]
	if mark == number {
		return strconv.AppendUint(text, n, 10), values, true
	}
	if n > uint64(len(values)) {
		return nil, nil, false
	}
	return append(text, values[:n]...), values[n:], true
}

// parseNumber returns the number whose text this is, if it is a value.
func parseNumber(text []byte, digits int) (n uint64, ok bool) {
	if digits != len(text) || digits < minNumber || digits > maxNumber || text[0] == '0' {
		return 0, false
	}
	for _, b := range text {
		n = n*10 + uint64(b-'0')
	}
	return n, true
}

// parseUUID returns the UUID whose text this is, in lower case.
func parseUUID(text []byte) (id [16]byte, ok bool) {
	if len(text) != 36 {
		return id, false
	}
	digits := make([]byte, 0, 36)
	digits = append(digits, text[:8]...)
	digits = append(digits, text[9:13]...)
	digits = append(digits, text[14:18]...)
	digits = append(digits, text[19:23]...)
	digits = append(digits, text[24:]...)
	_, _ = hex.Decode(id[:], digits) // the comparison finds what is not hexadecimal
	return id, bytes.Equal(appendUUID(digits[:0], id[:]), text)
}

// appendUUID appends the text of the UUID.
func appendUUID(text, id []byte) []byte {
	text = append(text, "00000000-0000-0000-0000-000000000000"...)
	hexadecimal := text[len(text)-36:]
	hex.Encode(hexadecimal, id[:4])
	hex.Encode(hexadecimal[9:], id[4:6])
	hex.Encode(hexadecimal[14:], id[6:8])
	hex.Encode(hexadecimal[19:], id[8:10])
	hex.Encode(hexadecimal[24:], id[10:])
	return text
}
