package roomhttp

import (
	"bytes"
	"crypto/sha256"
	_ "embed" // for the module
	"encoding/hex"
	"net/http"
	"slices"
	"strings"
	"time"
)

//go:embed roomtoken.js
var module []byte

// moduleTag is the ETag of the module.
var moduleTag = func() string {
	sum := sha256.Sum256(module)
	return `"` + hex.EncodeToString(sum[:8]) + `"`
}()

// script answers with the JavaScript module. It is the same for everybody and holds
// nothing secret, so neither Authorize nor the origin is asked.
func (h *Handler) script(w http.ResponseWriter, r *http.Request) {
	h.setHeaders(w, r)
	header := w.Header()
	switch {
	case !slices.Contains(readMethods, r.Method):
		header.Set("Allow", strings.Join(readMethods, ", "))
		h.refuse(w, r, "", codeMethodNotAllowed, nil)
	case r.Method == http.MethodOptions:
		h.preflight(w, r, readMethods)
	default:
		header.Set("Cache-Control", "no-cache") // a new release must not meet an old script
		header.Set("Content-Type", "text/javascript; charset=utf-8")
		header.Set("ETag", moduleTag)
		// Without conditions but If-None-Match the answer is 200 or 304.
		plain := r.Clone(r.Context())
		plain.Header = http.Header{"If-None-Match": r.Header["If-None-Match"]}
		http.ServeContent(w, plain, "", time.Time{}, bytes.NewReader(module))
	}
}
