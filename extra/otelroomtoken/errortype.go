package otelroomtoken

import (
	"context"
	"errors"
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
	text = err.Error()
	if secret := refreshToken.Reveal(); secret != "" {
		text = strings.ReplaceAll(text, secret, refreshToken.String())
	}
	text = valid(text)
	if len(text) > maxText {
		text = strings.ToValidUTF8(text[:maxText], "")
	}
	return text
}

// valid returns the text as UTF-8: an exporter may drop all spans that it sends together
// with one that is not.
func valid(text string) string { return strings.ToValidUTF8(text, "\uFFFD") }
