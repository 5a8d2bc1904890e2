package main

import (
	"bytes"
	"html/template"
	"log"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/roomtoken/roomtoken"
)

// statusPage shows all rooms. It reveals no secrets: a RoomStatus has only the
// token's fingerprint.
var statusPage = template.Must(template.New("status").Funcs(template.FuncMap{"in": in}).Parse(`<!DOCTYPE html>
<meta charset="utf-8"><meta http-equiv="refresh" content="2"><title>Rooms</title>
<style>body { font: 14px sans-serif } td, th { padding: 2px 10px; text-align: left }</style>
<h1>Rooms: {{.Stats.Rooms}}</h1>
<p>{{.Stats.Creates}} creates ({{.Stats.CreateFailures}} failed), {{.Stats.Refreshes}} refreshes ({{.Stats.RefreshFailures}} failed),
{{.Stats.Fallbacks}} fallbacks, {{.Stats.Misses}} misses, {{.Stats.CallsInFlight}} calls in flight, {{.Stats.CallsQueued}} queued.
{{if not .Stats.HeldUntil.IsZero}}<b>No API calls for {{in .Stats.HeldUntil}}.</b>{{end}}</p>
<table>
<tr><th>room<th>state<th>token<th>valid for<th>next call<th>generation<th>waiters<th>last error</tr>
{{range .Rooms -}}
<tr><td>{{.RoomID}}<td>{{.State}}<td>{{.Fingerprint}}<td>{{in .ExpiresAt}}
<td>{{if .InFlight}}{{.InFlight}} is in flight{{else if .NextCall}}{{.NextCall}} in {{in .NextCallAt}}{{end}}
<td>{{.Generation}}<td>{{.Waiters}}<td>{{with .LastError}}{{.}}{{end}}</tr>
{{end -}}
</table>
`))

// status responds with the status page.
func (b backEnd) status(w http.ResponseWriter, _ *http.Request) {
	rooms := slices.SortedFunc(b.manager.Rooms(), byID)
	var page bytes.Buffer
	err := statusPage.Execute(&page, struct {
		Stats roomtoken.Stats
		Rooms []roomtoken.RoomStatus
	}{b.manager.Stats(), rooms})
	if err != nil {
		log.Print(err)
		http.Error(w, "cannot render the page", http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	if _, err := page.WriteTo(w); err != nil {
		log.Print(err) // the client has disconnected
	}
}

func byID(a, b roomtoken.RoomStatus) int { return strings.Compare(a.RoomID, b.RoomID) }

// in returns the time until t in seconds, or "" if t is zero.
func in(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return max(time.Until(t), 0).Round(time.Second).String()
}
