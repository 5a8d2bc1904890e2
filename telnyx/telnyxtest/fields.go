package telnyxtest

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"mime"
	"net/http"
	"strconv"
	"time"
)

// bounds are the limits and the default of a lifetime in the OpenAPI document, in seconds.
type bounds struct{ min, max, fallback float64 }

var (
	tokenTTL        = bounds{10, 3600, 600}
	refreshTokenTTL = bounds{60, 86400, 3600}
)

// parse returns the fields of the request's body. No body at all stands for an object
// without fields, unless the server is strict.
func (s *Server) parse(in request) (fields map[string]json.RawMessage, p *problem) {
	if len(in.body) == 0 && !in.broken && !s.strict {
		return nil, nil
	}
	if mediaType, _, _ := mime.ParseMediaType(in.contentType); mediaType != "application/json" {
		return nil, refuse(http.StatusUnsupportedMediaType, "10029")
	}
	switch err := json.Unmarshal(in.body, &fields); {
	case in.broken:
		return nil, refuse(http.StatusBadRequest, "10015")
	case !json.Valid(in.body):
		return nil, refuse(http.StatusBadRequest, "10023")
	case err != nil || fields == nil:
		return nil, wrongType("object", bytes.TrimSpace(in.body))
	}
	return fields, nil
}

// seconds returns the lifetime in the named field, or its default.
func seconds(fields map[string]json.RawMessage, name string, b bounds) (time.Duration, *problem) {
	raw, ok := fields[name]
	if !ok {
		return time.Duration(b.fallback) * time.Second, nil
	}
	// In JSON Schema, 60.0 and 6e1 are integers. A number beyond a float64 is one, too.
	n, err := strconv.ParseFloat(string(raw), 64)
	if err != nil && !errors.Is(err, strconv.ErrRange) || n != math.Trunc(n) {
		return 0, wrongType("integer", raw).at(name)
	}
	if n < b.min || n > b.max {
		p := refuse(http.StatusUnprocessableEntity, "10033").at(name)
		p.err.Detail = fmt.Sprintf("The value is outside of allowed range %v to %v", b.min, b.max)
		return 0, p
	}
	return time.Duration(n) * time.Second, nil
}

// wrongType returns the problem of a JSON value that is not of the type that the API wants.
func wrongType(want string, value []byte) *problem {
	got := "number"
	switch value[0] {
	case '{':
		got = "object"
	case '[':
		got = "array"
	case '"':
		got = "string"
	case 't', 'f':
		got = "boolean"
	case 'n':
		got = "null"
	}
	p := refuse(http.StatusBadRequest, "10026")
	p.err.Detail = fmt.Sprintf("The parameter must be of type %s, but received type %s", want, got)
	return p
}
