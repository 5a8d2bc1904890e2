package otelroomtoken

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"strconv"
	"strings"

	"github.com/roomtoken/roomtoken"
)

// errorTypes are the values of error.type for errors of a source, the first one that
// applies.
var errorTypes = []struct {
	err  error
	name string
}{
	{roomtoken.ErrRateLimited, "rate_limited"},
	{roomtoken.ErrRefreshRejected, "refresh_rejected"},
	{roomtoken.ErrRoomNotFound, "room_not_found"},
	{roomtoken.ErrPermanent, "permanent"},
	{context.DeadlineExceeded, "timeout"},
	{context.Canceled, "canceled"},
}

// errorType returns the value of error.type for an error that a source has returned from a
// call with that ctx.
func errorType(ctx context.Context, err error) string {
	if ctx.Err() != nil { // whatever the source made of it
		err = errors.Join(err, context.Cause(ctx), ctx.Err())
	}
	for _, t := range errorTypes {
		if errors.Is(err, t.err) {
			return t.name
		}
	}
	return "_OTHER"
}

// maxText is the longest text of a failure, in bytes.
const maxText = 300

// errorText returns the text of an error, without the refresh token, fit for a span.
func errorText(err error, refreshToken roomtoken.Secret) (text string) {
	defer func() {
		if recover() != nil {
			text = "the text of the error cannot be had"
		}
	}()
	text = valid(redact(err.Error(), refreshToken))
	if len(text) > maxText {
		text = strings.ToValidUTF8(text[:maxText], "")
	}
	return text
}

// redact replaces a secret in a text, in each form in which fmt prints a string or its
// bytes, and escaped for a URL.
func redact(text string, secret roomtoken.Secret) string {
	value := secret.Reveal()
	if value == "" {
		return text
	}
	quoted := strconv.Quote(value)
	decimal := fmt.Sprint([]byte(value)) //nolint:staticcheck // the numbers of the bytes
	for _, form := range []string{
		value,
		quoted[1 : len(quoted)-1],
		decimal[1 : len(decimal)-1],
		fmt.Sprintf("%x", value), fmt.Sprintf("%X", value),
		url.QueryEscape(value), url.PathEscape(value),
	} {
		text = strings.ReplaceAll(text, form, secret.String())
	}
	return text
}

// valid returns the text as UTF-8: an exporter may drop all spans that it sends together
// with one that is not.
func valid(text string) string { return strings.ToValidUTF8(text, "\uFFFD") }
