package roomtoken

import (
	"bytes"
	"encoding"
	"encoding/json"
	"log/slog"
	"reflect"
	"strings"
	"time"
	"unicode"
)

// The enums, Event, RoomStatus, Stats and Histogram show their fields to encoding/json
// and log/slog in the same form: keys in snake_case, times in RFC 3339 and UTC, errors
// and durations as their texts. Times, texts and errors that are not set are left out.

// MarshalText implements [encoding.TextMarshaler]: the same as String.
func (s RoomState) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// LogValue implements [slog.LogValuer]: the same as String.
func (s RoomState) LogValue() slog.Value { return slog.StringValue(s.String()) }

// MarshalText implements [encoding.TextMarshaler]: the same as String.
func (k EventKind) MarshalText() ([]byte, error) { return []byte(k.String()), nil }

// LogValue implements [slog.LogValuer]: the same as String.
func (k EventKind) LogValue() slog.Value { return slog.StringValue(k.String()) }

// MarshalText implements [encoding.TextMarshaler]: the same as String.
func (k CallKind) MarshalText() ([]byte, error) { return []byte(k.String()), nil }

// LogValue implements [slog.LogValuer]: the same as String.
func (k CallKind) LogValue() slog.Value { return slog.StringValue(k.String()) }

// MarshalJSON implements [json.Marshaler]: an object with the fields that are set.
func (e Event) MarshalJSON() ([]byte, error) { return membersOf(e, true).MarshalJSON() }

// LogValue implements [slog.LogValuer]: a group with the fields that are set.
func (e Event) LogValue() slog.Value { return membersOf(e, true).LogValue() }

// MarshalJSON implements [json.Marshaler]: an object with the fields. Times, texts and
// errors that are not set are left out.
func (s RoomStatus) MarshalJSON() ([]byte, error) { return membersOf(s, false).MarshalJSON() }

// LogValue implements [slog.LogValuer]: a group with the same content as the JSON.
func (s RoomStatus) LogValue() slog.Value { return membersOf(s, false).LogValue() }

// MarshalJSON implements [json.Marshaler]: an object with the fields. Times that are not
// set are left out.
func (s Stats) MarshalJSON() ([]byte, error) { return membersOf(s, false).MarshalJSON() }

// LogValue implements [slog.LogValuer]: a group with the same content as the JSON.
func (s Stats) LogValue() slog.Value { return membersOf(s, false).LogValue() }

// MarshalJSON implements [json.Marshaler]: an object with the count, the sum, and the
// buckets that are not empty, by their upper bounds.
func (h Histogram) MarshalJSON() ([]byte, error) { return h.members().MarshalJSON() }

// LogValue implements [slog.LogValuer]: a group with the same content as the JSON.
func (h Histogram) LogValue() slog.Value { return h.members().LogValue() }

func (h Histogram) members() members {
	var buckets members
	for i, n := range h.Buckets {
		if n > 0 {
			buckets = append(buckets, member{histogramBounds[i].String(), n})
		}
	}
	all := members{{"count", h.Count}, {"sum", h.Sum.String()}}
	if len(buckets) > 0 { // slog leaves out empty groups, too
		all = append(all, member{"buckets", buckets})
	}
	return all
}

// members are the members of a JSON object, in order.
type members []member

type member struct {
	key   string
	value any // a string, number, bool, or members
}

// membersOf returns the exported fields of a struct. omitZero: only those that are set.
func membersOf(s any, omitZero bool) (all members) {
	v := reflect.ValueOf(s)
	for i := range v.NumField() {
		field := v.Type().Field(i)
		if !field.IsExported() || omitZero && v.Field(i).IsZero() {
			continue
		}
		if value, ok := memberValue(v.Field(i).Interface()); ok {
			all = append(all, member{snakeCase(field.Name), value})
		}
	}
	return all
}

// memberValue returns the value in the form in which it is shown; ok is false if it is
// not set and left out.
func memberValue(v any) (value any, ok bool) {
	switch v := v.(type) {
	case nil:
		return nil, false
	case error:
		return textOf(v), true
	case time.Time:
		return v.UTC().Format(time.RFC3339Nano), !v.IsZero()
	case time.Duration:
		return v.String(), true
	case Histogram:
		return v.members(), true
	case [RoomStuck + 1]int:
		var states members
		for state := RoomEmpty; state <= RoomStuck; state++ {
			states = append(states, member{state.String(), v[state]})
		}
		return states, true
	case encoding.TextMarshaler: // an enum
		text, _ := v.MarshalText()
		return string(text), !reflect.ValueOf(v).IsZero()
	case string:
		return v, v != ""
	default:
		return v, true
	}
}

// snakeCase turns a Go name into the key of a JSON object: "RoomID" into "room_id".
func snakeCase(name string) string {
	var b strings.Builder
	lower := false // the rune before is lower-case
	for _, r := range name {
		if lower && unicode.IsUpper(r) {
			b.WriteByte('_')
		}
		lower = unicode.IsLower(r)
		b.WriteRune(unicode.ToLower(r))
	}
	return b.String()
}

// MarshalJSON implements json.Marshaler.
func (all members) MarshalJSON() ([]byte, error) {
	var b bytes.Buffer
	b.WriteByte('{')
	for i, m := range all {
		if i > 0 {
			b.WriteByte(',')
		}
		key, err := json.Marshal(m.key)
		if err != nil {
			return nil, err
		}
		value, err := json.Marshal(m.value)
		if err != nil {
			return nil, err
		}
		b.Write(key)
		b.WriteByte(':')
		b.Write(value)
	}
	b.WriteByte('}')
	return b.Bytes(), nil
}

// LogValue implements [slog.LogValuer].
func (all members) LogValue() slog.Value {
	attrs := make([]slog.Attr, len(all))
	for i, m := range all {
		attrs[i] = slog.Any(m.key, m.value) // a member that has members resolves itself
	}
	return slog.GroupValue(attrs...)
}
