package telnyx

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
)

// maxBody limits how much of a response body is read, in bytes. Good ones have about
// 2 KB.
const maxBody = 1 << 20

// response is the response to a request.
type response struct {
	times
	status  int
	header  http.Header
	body    []byte // as much of it as was read
	bodyErr error  // why it is not all of it
}

// read reads resp and closes its body. It returns bodyErr.
func (r *response) read(resp *http.Response) error {
	r.status, r.header, r.date = resp.StatusCode, resp.Header, dateOf(resp.Header)
	r.body, r.bodyErr = readBody(resp)
	return r.bodyErr
}

// byteOrderMark may precede a text in UTF-8. JSON does not allow it, but parsers may
// ignore it (RFC 8259, 8.1).
var byteOrderMark = []byte("\ufeff")

// readBody reads the body of resp up to maxBody bytes and closes it. It returns what it
// has read even with an error. It does not read compressed bodies, which the request did
// not ask for. Reading a body to its end lets net/http reuse the connection.
func readBody(resp *http.Response) ([]byte, error) {
	defer resp.Body.Close()
	if resp.StatusCode < 200 || contentEncoding(resp.Header) != "" {
		return nil, nil // the body of a 101 is an endless stream
	}
	size := int64(bytes.MinRead) // what ReadFrom needs to detect the end without growing
	if 0 < resp.ContentLength && resp.ContentLength <= maxBody {
		size += resp.ContentLength
	}
	buf := bytes.NewBuffer(make([]byte, 0, size))
	_, err := buf.ReadFrom(io.LimitReader(resp.Body, maxBody+1))
	body := buf.Bytes()
	switch {
	case buf.Len() > maxBody:
		body, err = body[:maxBody], errors.New("the body is larger than 1 MiB")
	case err != nil:
		err = fmt.Errorf("after %d bytes of the body: %w", buf.Len(), err)
	}
	return bytes.TrimPrefix(body, byteOrderMark), err
}

// contentEncoding returns the Content-Encoding of a response (RFC 9110, 8.4), or "" if the
// body is not encoded.
func contentEncoding(header http.Header) string {
	encoding := header.Get("Content-Encoding")
	if strings.EqualFold(encoding, "identity") {
		return ""
	}
	return encoding
}

// mediaType returns the media type in the Content-Type of a response, in lower case and
// without parameters.
func mediaType(header http.Header) string {
	name, _, _ := strings.Cut(header.Get("Content-Type"), ";")
	return strings.ToLower(strings.TrimSpace(name))
}
