package statuspage

import (
	"context"
	"errors"
	"net/http"
	"strconv"
	"sync"
	"time"

	"github.com/roomtoken/roomtoken"
)

// Page is an [http.Handler] that shows a [roomtoken.Manager] to an operator. [New] makes
// one. All methods are safe for concurrent use.
type Page struct {
	manager *roomtoken.Manager
	config  Config
	walker  *walker
	history history

	closing   chan struct{} // closed to end the sampling
	closeOnce sync.Once
	sampling  sync.WaitGroup
}

// New returns a Page for the Manager. The error names everything that is wrong: a nil
// Manager, and every field of config that cannot be.
//
// It starts one goroutine, which samples the Manager's Stats for the charts.
// [Page.Close] ends it; so does the Manager's Close, within Config.Every.
func New(manager *roomtoken.Manager, config Config) (*Page, error) {
	config, err := config.withDefaults(manager)
	if err != nil {
		return nil, err
	}
	p := &Page{
		manager: manager,
		config:  config,
		walker:  newWalker(manager.Scan()),
		history: history{before: manager.Stats()},
		closing: make(chan struct{}),
	}
	p.sampling.Go(p.sample)
	return p, nil
}

// Close ends the sampling, and returns when it has ended. The Page goes on showing how
// things are, with the charts as they were. Close may be called more than once.
func (p *Page) Close() {
	p.closeOnce.Do(func() { close(p.closing) })
	p.sampling.Wait()
}

// sample takes samples until the Page or the Manager is closed.
func (p *Page) sample() {
	ticker := time.NewTicker(p.config.Every)
	defer ticker.Stop()
	for {
		select {
		case <-ticker.C:
		case <-p.closing:
			return
		}
		if closed(p.manager) {
			return
		}
		p.history.add(timeNow(), p.manager.Stats())
	}
}

// closed reports whether the Manager was closed. To warm no room does nothing else.
func closed(manager *roomtoken.Manager) bool {
	return errors.Is(manager.Warm(context.Background()), roomtoken.ErrClosed)
}

// timeNow returns the time as the page shows it: in UTC, to the millisecond, and without a
// monotonic reading, so that what is reckoned from it agrees with what is shown.
func timeNow() time.Time { return time.Now().UTC().Truncate(time.Millisecond) }

// ServeHTTP answers GET and HEAD, whatever the path; HEAD without looking at the rooms.
// Config.Authorize is asked first. The status is
//
//   - 200, with the page;
//   - 400 where a parameter has a value that cannot be;
//   - 403 where Authorize returned an error;
//   - 405 for other methods;
//   - 503 where the ctx of the request ended before the rooms were found.
func (p *Page) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	setHeaders(w.Header())
	if err := p.config.Authorize(r); err != nil {
		refuse(w, r, http.StatusForbidden, "Forbidden")
		return
	}
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		w.Header().Set("Allow", "GET, HEAD")
		refuse(w, r, http.StatusMethodNotAllowed, "The status page can only be read: use GET or HEAD.")
		return
	}
	q, err := parseQuery(r.URL.RawQuery)
	if err != nil {
		refuse(w, r, http.StatusBadRequest, err.Error())
		return
	}
	format := q.format
	if format == "" {
		format = accepted(r.Header.Values("Accept"))
	}
	if r.Method == http.MethodHead {
		w.Header().Set("Content-Type", contentTypes[format])
		return
	}
	v, err := p.view(r.Context(), q)
	if err != nil { // mostly because the client has gone
		refuse(w, r, http.StatusServiceUnavailable, "The request has ended before the rooms were found.")
		return
	}
	body, err := v.render(format)
	if err != nil {
		refuse(w, r, http.StatusInternalServerError, "The page cannot be rendered.")
		return
	}
	send(w, r, http.StatusOK, contentTypes[format], body)
}

var contentTypes = map[string]string{
	formatHTML: "text/html; charset=utf-8",
	formatJSON: "application/json",
	formatText: "text/plain; charset=utf-8",
}

// setHeaders sets what every answer has. The policy allows the page's own stylesheet and
// nothing else: no script, no image, no frame.
func setHeaders(h http.Header) {
	h.Set("Content-Security-Policy", contentSecurityPolicy)
	h.Set("Cache-Control", "no-store")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("Vary", "Accept")
}

// refuse answers with a text instead of the page.
func refuse(w http.ResponseWriter, r *http.Request, status int, text string) {
	send(w, r, status, contentTypes[formatText], []byte(text+"\n"))
}

// send answers. The answer to HEAD has no body.
func send(w http.ResponseWriter, r *http.Request, status int, contentType string, body []byte) {
	w.Header().Set("Content-Type", contentType)
	w.Header().Set("Content-Length", strconv.Itoa(len(body)))
	w.WriteHeader(status)
	if r.Method != http.MethodHead {
		_, _ = w.Write(body) //nolint:gosec // the body is escaped, and an error means that the client has gone
	}
}
