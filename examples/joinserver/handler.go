package main

import (
	"embed"
	"html/template"
	"io"
	"log"
	"net/http"
)

var (
	//go:embed index.html
	indexHTML string

	index = template.Must(template.New("index").Parse(indexHTML))

	//go:embed page
	assets embed.FS
)

// policy lets the page load its own scripts and styles, none of them inline, and nothing
// of others.
const policy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; " +
	"form-action 'self'; base-uri 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'"

// handler serves
//
//	GET  /                          the page
//	GET  /page/{file}               its scripts and styles
//	     /api/                      the tokens, for the page
//	GET  /status                    the status page, for operators
//	POST /media/{room_id}           the media server, for the participants of the page
//	POST /faults/{name}             the buttons
func (a *app) handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", a.index)
	mux.HandleFunc("GET /page/{file}", asset)
	mux.Handle("/api/", http.StripPrefix("/api", a.tokens))
	mux.Handle("/status", a.status)
	mux.HandleFunc("POST /media/{room_id}", a.admit)
	for _, f := range a.faults {
		mux.HandleFunc("POST /faults/"+f.Name, func(w http.ResponseWriter, _ *http.Request) {
			log.Printf("fault: %s", f.Label)
			f.inject()
			w.WriteHeader(http.StatusNoContent)
		})
	}
	return http.NewCrossOriginProtection().Handler(withHeaders(mux))
}

// withHeaders sets what answers have that set nothing else.
func withHeaders(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		header := w.Header()
		header.Set("Content-Security-Policy", policy)
		header.Set("X-Content-Type-Options", "nosniff")
		header.Set("Referrer-Policy", "no-referrer")
		header.Set("Cache-Control", "no-cache")
		next.ServeHTTP(w, r)
	})
}

func (a *app) index(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	_, _ = w.Write(a.page)
}

func asset(w http.ResponseWriter, r *http.Request) {
	http.ServeFileFS(w, r, assets, "page/"+r.PathValue("file"))
}

// anyone lets everybody join every room.
func anyone(*http.Request, string) error { return nil }

// admit stands for the media server of a room: it lets a token in, or not. Telnyx has no
// way to ask that but to join, so a token of Telnyx is let in.
func (a *app) admit(w http.ResponseWriter, r *http.Request) {
	token, err := io.ReadAll(http.MaxBytesReader(w, r.Body, 1<<14))
	if err != nil {
		http.Error(w, "cannot read the token", http.StatusBadRequest)
		return
	}
	if a.api != nil {
		if err := a.api.Verify(r.PathValue("room_id"), string(token)); err != nil {
			log.Print(err)
			http.Error(w, "the token is refused", http.StatusUnauthorized)
			return
		}
	}
	w.WriteHeader(http.StatusNoContent)
}
