// Package hosts keeps the servers of the examples from answering for foreign host names.
package hosts

import (
	"net"
	"net/http"
	"strings"
)

// Only serves requests for localhost, a loopback address, and the host of addr, and
// refuses those for other hosts. Otherwise a foreign page could rebind its own name to the
// address of this server, and would be taken for one of its pages.
func Only(addr string, next http.Handler) http.Handler {
	own := hostOf(addr)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		host := hostOf(r.Host)
		if ip := net.ParseIP(host); host == "" || host != "localhost" && host != own && (ip == nil || !ip.IsLoopback()) {
			http.Error(w, "this server does not serve that host", http.StatusMisdirectedRequest)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// hostOf returns the host of an address, which may be without a port.
func hostOf(addr string) string {
	host, _, err := net.SplitHostPort(addr)
	if err != nil {
		host = strings.Trim(addr, "[]")
	}
	return strings.ToLower(host)
}
