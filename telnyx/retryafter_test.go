package telnyx

import (
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/roomtoken/roomtoken"
)

func TestRetryAfter(t *testing.T) {
	const none = time.Duration(0)
	const day = 24 * time.Hour
	local := time.Date(2026, 5, 4, 3, 2, 1, 0, time.UTC)
	server := local.Add(time.Hour) // the server's clock is ahead
	httpDate := func(t time.Time) string { return t.Format(http.TimeFormat) }

	tests := map[string]struct {
		status  int
		headers []string
		want    time.Duration
	}{
		"nothing":                  {429, nil, none},
		"seconds":                  {429, []string{"Retry-After: 7"}, 7 * time.Second},
		"zero seconds":             {429, []string{"Retry-After: 0", "X-Ratelimit-Reset: 9"}, none},
		"fraction":                 {429, []string{"Retry-After: 1.5"}, 1500 * time.Millisecond},
		"white space":              {429, []string{"Retry-After:  7 "}, 7 * time.Second},
		"with 503":                 {503, []string{"Retry-After: 7"}, 7 * time.Second},
		"with 403":                 {403, []string{"Retry-After: 7"}, 7 * time.Second},
		"a year":                   {429, []string{"Retry-After: 31536000"}, day},
		"beyond an int64":          {429, []string{"Retry-After: 99999999999999999999999"}, day},
		"beyond a float":           {429, []string{"Retry-After: " + strings.Repeat("9", 400)}, day},
		"date, server's clock":     {503, []string{"Retry-After: " + httpDate(server.Add(30*time.Second)), "Date: " + httpDate(server)}, 30 * time.Second},
		"date, local clock":        {503, []string{"Retry-After: " + httpDate(local.Add(30*time.Second))}, 30 * time.Second},
		"date, broken Date":        {503, []string{"Retry-After: " + httpDate(local.Add(30*time.Second)), "Date: x"}, 30 * time.Second},
		"date in the year 9999":    {503, []string{"Retry-After: Fri, 31 Dec 9999 23:59:59 GMT"}, day},
		"past date":                {503, []string{"Retry-After: " + httpDate(local.Add(-time.Second))}, none},
		"past date, then reset":    {429, []string{"Retry-After: " + httpDate(local.Add(-time.Second)), "X-Ratelimit-Reset: 9"}, 9 * time.Second},
		"negative":                 {429, []string{"Retry-After: -7"}, none},
		"garbage":                  {429, []string{"Retry-After: soon"}, none},
		"exponent":                 {429, []string{"Retry-After: 1e9"}, none},
		"hexadecimal":              {429, []string{"Retry-After: 0x10"}, none},
		"infinite":                 {429, []string{"Retry-After: Inf"}, none},
		"two decimal points":       {429, []string{"Retry-After: 1.2.3"}, none},
		"negative, then reset":     {429, []string{"Retry-After: -7", "X-Ratelimit-Reset: 9"}, 9 * time.Second},
		"before reset":             {429, []string{"Retry-After: 7", "X-Ratelimit-Reset: 9"}, 7 * time.Second},
		"reset in seconds":         {429, []string{"X-Ratelimit-Reset: 9"}, 9 * time.Second},
		"reset of a week":          {429, []string{"X-Ratelimit-Reset: 604800"}, day},
		"reset as time, server's":  {429, []string{"X-Ratelimit-Reset: 1777867351", "Date: " + httpDate(server)}, 30 * time.Second},
		"reset as time, local":     {429, []string{"X-Ratelimit-Reset: 1777863751"}, 30 * time.Second},
		"reset as time, past":      {429, []string{"X-Ratelimit-Reset: 1777863720"}, none},
		"reset as time, far":       {429, []string{"X-Ratelimit-Reset: 99999999999999999999"}, day},
		"reset in milliseconds":    {429, []string{"X-Ratelimit-Reset: 1777863751000"}, 30 * time.Second},
		"reset, garbage":           {429, []string{"X-Ratelimit-Reset: 5;w=1"}, none},
		"reset, other spelling":    {429, []string{"Ratelimit-Reset: 9"}, 9 * time.Second},
		"reset without 429":        {503, []string{"X-Ratelimit-Reset: 9"}, none},
		"limit and remaining only": {429, []string{"X-Ratelimit-Limit: 5, 5;w=1", "X-Ratelimit-Remaining: 0"}, none},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			headers := append([]string{"Date: -"}, test.headers...)
			base := startServer(t, answerWith(test.status, "", headers...))
			_, err := newSource(t, Config{BaseURL: base, Clock: mockAt(local)}).Create(t.Context(), testRoom)
			var apiError *APIError
			if !errors.As(err, &apiError) || apiError.RetryAfter() != test.want {
				t.Errorf("got a wait of %v from %v; want %v", apiError.RetryAfter(), err, test.want)
			}
		})
	}
}

// The clock of a synctest bubble starts in 2000: a Unix time of that year must not be
// taken for a wait.
func TestResetAsUnixTimeInABubble(t *testing.T) {
	now := time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC)
	header := http.Header{"X-Ratelimit-Reset": {"946684830"}}
	if got := retryAfter(429, header, now); got != 30*time.Second {
		t.Errorf("got %v; want 30s", got)
	}
}

func TestRetryAfterIsFoundInTheChain(t *testing.T) {
	var err error = &APIError{Op: roomtoken.CallCreate, StatusCode: 429, retryAfter: time.Second}
	var carrier interface{ RetryAfter() time.Duration }
	if !errors.As(roomtoken.Permanent(err), &carrier) || carrier.RetryAfter() != time.Second {
		t.Error("errors.As does not find RetryAfter")
	}
}
