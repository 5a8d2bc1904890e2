package roomhttp

import (
	"encoding/json"
	"io"
	"mime"
	"net/http"
	"time"

	"github.com/roomtoken/roomtoken"
)

// maxReport is the size of the largest report, in bytes.
const maxReport = 16 << 10

// rejected takes the report that a token was refused. The answer is the same whether or
// not it was the room's current token.
func (h *Handler) rejected(w http.ResponseWriter, r *http.Request, roomID string) {
	// A body that does not come ends with the deadline, also where the http.Server has no
	// ReadTimeout; it stays in force for what the server reads of a body that is too large.
	_ = http.NewResponseController(w).SetReadDeadline(time.Now().Add(h.config.Wait))
	rejected, code := readReport(r)
	if code != "" {
		h.refuse(w, r, roomID, code, nil)
		return
	}
	h.count(&h.counts.rejections, r)
	h.manager.Invalidate(roomID, rejected)
	w.WriteHeader(http.StatusNoContent)
}

// readReport returns the token that was refused, or the code of what is wrong with the
// report.
func readReport(r *http.Request) (rejected roomtoken.Token, code string) {
	if kind, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type")); kind != "application/json" {
		return roomtoken.Token{}, codeUnsupportedMediaType
	}
	// Not http.MaxBytesReader, which adds a Connection header.
	text, err := io.ReadAll(io.LimitReader(r.Body, maxReport+1))
	if len(text) > maxReport {
		return roomtoken.Token{}, codeTooLarge
	}
	var report struct {
		Token string `json:"token"`
	}
	if err != nil || json.Unmarshal(text, &report) != nil || report.Token == "" {
		return roomtoken.Token{}, codeBadRequest
	}
	return roomtoken.Token{Value: roomtoken.NewSecret(report.Token)}, ""
}
