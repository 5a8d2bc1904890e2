package hosts

import (
	"net/http"
	"net/http/httptest"
	"testing"
)

// A page that has rebound its name to the address of the server gets nothing.
func TestOnly(t *testing.T) {
	served := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) })
	for _, tt := range []struct {
		addr, host string
		want       int
	}{
		{"localhost:8080", "localhost:8080", http.StatusNoContent},
		{"localhost:8080", "LOCALHOST", http.StatusNoContent},
		{"localhost:8080", "127.0.0.1:8080", http.StatusNoContent},
		{"localhost:8080", "[::1]:8080", http.StatusNoContent},
		{"localhost:8080", "[::1]", http.StatusNoContent},
		{"rooms.example:80", "rooms.example", http.StatusNoContent},
		{"192.0.2.1:8080", "192.0.2.1:8080", http.StatusNoContent},
		{"localhost:8080", "evil.example:8080", http.StatusMisdirectedRequest},
		{"localhost:8080", "127.0.0.1.evil.example", http.StatusMisdirectedRequest},
		{"localhost:8080", "192.0.2.1:8080", http.StatusMisdirectedRequest},
		{":8080", "", http.StatusMisdirectedRequest},
		{":8080", "evil.example", http.StatusMisdirectedRequest},
	} {
		r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/", http.NoBody)
		r.Host = tt.host
		w := httptest.NewRecorder()
		Only(tt.addr, served).ServeHTTP(w, r)
		if w.Code != tt.want {
			t.Errorf("-addr %s, Host %s: status %d, want %d", tt.addr, tt.host, w.Code, tt.want)
		}
	}
}
