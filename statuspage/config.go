package statuspage

import (
	"cmp"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/roomtoken/roomtoken"
)

// Config configures a [Page]. Authorize is required.
type Config struct {
	// Authorize decides who may look: an error refuses the request with status 403, and
	// its text is not shown. It is called first, for every request, concurrently. If it
	// panics, the panic goes on to the server and nothing has been shown. For a port that
	// only operators reach, use [Anyone].
	Authorize func(r *http.Request) error

	// Title is the heading of the page. Defaults to "roomtoken".
	Title string

	// Every is the time between two samples of the charts, of which 360 are kept: from
	// 1 ms to 24 h. Defaults to 10 s, so that the charts show an hour.
	Every time.Duration
}

const (
	defaultTitle = "roomtoken"
	defaultEvery = 10 * time.Second

	minEvery = time.Millisecond
	maxEvery = 24 * time.Hour
)

// Anyone lets everybody look. Use it as Config.Authorize where the server's port is the
// protection; the page shows room IDs and errors of the source.
func Anyone(*http.Request) error { return nil }

// withDefaults returns c with every zero replaced by its default, or an error that names
// everything that New cannot use.
func (c Config) withDefaults(manager *roomtoken.Manager) (Config, error) {
	c.Title = cmp.Or(c.Title, defaultTitle)
	c.Every = cmp.Or(c.Every, defaultEvery)
	var errs []error
	if manager == nil {
		errs = append(errs, errors.New("statuspage: New needs a Manager, not nil"))
	}
	if c.Authorize == nil {
		errs = append(errs, errors.New("statuspage: Config.Authorize is nil; want a function that decides who may look, or statuspage.Anyone"))
	}
	if c.Every < minEvery || c.Every > maxEvery {
		errs = append(errs, fmt.Errorf("statuspage: Config.Every is %v; want %v to %v, or 0 for the default", c.Every, minEvery, maxEvery))
	}
	return c, errors.Join(errs...)
}
