package roomhttp

import (
	"net/http"
	"slices"
	"strings"
)

// setHeaders sets the headers that every answer has.
func (h *Handler) setHeaders(w http.ResponseWriter, r *http.Request) {
	header := w.Header()
	header.Set("Cache-Control", "no-store")
	header.Set("X-Content-Type-Options", "nosniff")
	if len(h.config.AllowOrigins) == 0 {
		header.Set("Cross-Origin-Resource-Policy", "same-origin")
		return
	}
	header.Add("Vary", "Origin") // middleware may have others
	if origin := r.Header.Get("Origin"); h.allows(origin) {
		header.Set("Access-Control-Allow-Origin", origin)
		header.Set("Access-Control-Expose-Headers", "Retry-After")
		if h.config.AllowCredentials {
			header.Set("Access-Control-Allow-Credentials", "true")
		}
	}
}

// allows reports whether the origin is one of Config.AllowOrigins.
func (h *Handler) allows(origin string) bool {
	return slices.Contains(h.config.AllowOrigins, origin)
}

// isForeign reports whether the request comes from a page of another origin that is not
// allowed.
//
// Browsers send Origin with each cross-origin request of a script and with each POST,
// but not with a navigation or an image; of those Sec-Fetch-Site tells where they come
// from (Fetch Metadata Request Headers). Other clients send neither.
func (h *Handler) isForeign(r *http.Request) bool {
	origin := r.Header.Get("Origin")
	if origin == "" {
		site := r.Header.Get("Sec-Fetch-Site")
		return site == "cross-site" || site == "same-site"
	}
	return !h.allows(origin) && !isOwn(origin, r.Host)
}

// isOwn reports whether origin is that of the host itself, over http or https. Which of the
// two is not compared: TLS may end at a proxy.
func isOwn(origin, host string) bool {
	scheme, originHost, _ := strings.Cut(origin, "://")
	return (scheme == "http" || scheme == "https") && originHost != "" && strings.EqualFold(originHost, host)
}

// preflight answers OPTIONS, which browsers send before some cross-origin requests (Fetch
// Standard, CORS-preflight request).
func (h *Handler) preflight(w http.ResponseWriter, r *http.Request, methods []string) {
	header, allow := w.Header(), strings.Join(methods, ", ")
	header.Set("Allow", allow)
	if h.allows(r.Header.Get("Origin")) {
		header.Set("Access-Control-Allow-Methods", allow)
		header.Set("Access-Control-Allow-Headers", "Authorization, Content-Type, Last-Event-ID")
		header.Set("Access-Control-Max-Age", "7200") // no browser keeps it longer
	}
	w.WriteHeader(http.StatusNoContent)
}
