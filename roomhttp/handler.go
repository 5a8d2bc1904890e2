package roomhttp

import (
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/roomtoken/roomtoken"
)

// Handler serves the tokens of a [roomtoken.Manager] to browsers; see the package
// documentation. It is an [http.Handler] for paths of its own, without a prefix; Token,
// Events and Rejected serve the same on paths of yours. All methods are safe for
// concurrent use.
type Handler struct {
	manager   *roomtoken.Manager
	config    Config // with its defaults
	heartbeat []byte // the block that each heartbeat of a stream is
	streams   *streams
	counts    counts
	log       problemLog
}

// New returns a Handler for the tokens of manager. The error names everything that is
// wrong: a nil manager, and every invalid field of config, a nil Authorize among them.
//
// It starts no goroutine. Register [Handler.Shutdown] with the http.Server.
func New(manager *roomtoken.Manager, config Config) (*Handler, error) {
	config, err := config.withDefaults()
	if manager == nil {
		err = errors.Join(errors.New("roomhttp: New needs a Manager, not nil"), err)
	}
	if err != nil {
		return nil, err
	}
	config.AllowOrigins = slices.Clone(config.AllowOrigins)
	return &Handler{
		manager:   manager,
		config:    config,
		heartbeat: heartbeatBlock(config.Heartbeat),
		streams:   newStreams(config.MaxStreams, config.MaxStreamsPerRoom),
		log:       problemLog{log: config.Logger},
	}, nil
}

// An endpoint is what the Handler does for a room: it answers requests that may be
// answered.
type endpoint struct {
	methods []string
	answer  func(h *Handler, w http.ResponseWriter, r *http.Request, roomID string)
}

var (
	tokenEndpoint    = endpoint{readMethods, (*Handler).token}
	eventsEndpoint   = endpoint{readMethods, (*Handler).events}
	rejectedEndpoint = endpoint{[]string{http.MethodPost, http.MethodOptions}, (*Handler).rejected}

	readMethods = []string{http.MethodGet, http.MethodHead, http.MethodOptions}
)

// ServeHTTP serves
//
//	GET  /rooms/{room_id}/token
//	GET  /rooms/{room_id}/token/events
//	POST /rooms/{room_id}/token/rejected   (with Config.AcceptRejections)
//	GET  /roomtoken.js
//
// and answers 404 elsewhere. Mount it under a prefix with [http.StripPrefix]. The room ID
// is one segment of the escaped path: escape it with [url.PathEscape], or with
// encodeURIComponent in JavaScript, and a slash in it is no separator. There is never a
// redirect.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	path := strings.TrimPrefix(r.URL.EscapedPath(), "/")
	if path == "roomtoken.js" {
		h.script(w, r)
		return
	}
	if path, ok := strings.CutPrefix(path, "rooms/"); ok {
		segment, action, _ := strings.Cut(path, "/")
		roomID, _ := url.PathUnescape(segment) // "", which is no room ID, if it were malformed
		switch action {
		case "token":
			h.serve(w, r, roomID, tokenEndpoint)
			return
		case "token/events":
			h.serve(w, r, roomID, eventsEndpoint)
			return
		case "token/rejected":
			h.serve(w, r, roomID, rejectedEndpoint)
			return
		}
	}
	h.setHeaders(w, r)
	h.refuse(w, r, "", codeNotFound, nil)
}

// Token serves the token of the room r.PathValue("room_id"), for a path of your own:
//
//	mux.HandleFunc("/v1/{room_id}/credentials", handler.Token)
//
// Register it for every method, so that it can answer preflight requests.
func (h *Handler) Token(w http.ResponseWriter, r *http.Request) {
	h.serve(w, r, r.PathValue("room_id"), tokenEndpoint)
}

// Events serves the stream of tokens of the room r.PathValue("room_id"). The module
// roomtoken.js expects it at the path of Token with "/events" behind it.
func (h *Handler) Events(w http.ResponseWriter, r *http.Request) {
	h.serve(w, r, r.PathValue("room_id"), eventsEndpoint)
}

// Rejected takes the report that a token of the room r.PathValue("room_id") was refused.
// It answers 404 unless Config.AcceptRejections is set. The module roomtoken.js expects it
// at the path of Token with "/rejected" behind it.
func (h *Handler) Rejected(w http.ResponseWriter, r *http.Request) {
	h.serve(w, r, r.PathValue("room_id"), rejectedEndpoint)
}

// serve makes the checks that all requests for a room have to pass, in the order that the
// package documentation states, and lets the endpoint answer.
func (h *Handler) serve(w http.ResponseWriter, r *http.Request, roomID string, to endpoint) {
	h.setHeaders(w, r)
	switch {
	case to.methods[0] == http.MethodPost && !h.config.AcceptRejections:
		h.refuse(w, r, "", codeNotFound, nil)
	case h.isForeign(r):
		h.count(&h.counts.denied, r)
		h.refuse(w, r, "", codeCrossOrigin, nil)
	case !slices.Contains(to.methods, r.Method):
		w.Header().Set("Allow", strings.Join(to.methods, ", "))
		h.refuse(w, r, "", codeMethodNotAllowed, nil)
	case r.Method == http.MethodOptions:
		h.preflight(w, r, to.methods)
	case !isRoomID(roomID):
		h.refuse(w, r, "", codeBadRoomID, nil)
	default:
		if code, err := h.authorize(r, roomID); code != "" {
			h.refuse(w, r, roomID, code, err)
			return
		}
		to.answer(h, w, r, roomID)
	}
}

// isRoomID reports whether a client may ask for a room of that ID.
func isRoomID(id string) bool {
	return id != "" && len(id) <= 1024 && utf8.ValidString(id) && !strings.ContainsFunc(id, unicode.IsControl)
}
