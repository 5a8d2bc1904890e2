package oauth2roomtoken

import (
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
)

// checkDestination returns an error if the request must not have a token.
func checkDestination(req *http.Request) error {
	if req.URL == nil {
		return errors.New("oauth2roomtoken: the request has no URL")
	}
	to := server(req.URL)
	if req.URL.Scheme != "https" && !(req.URL.Scheme == "http" && isLoopback(req.URL.Hostname())) {
		return fmt.Errorf("oauth2roomtoken: would send a token in the clear to %s; want https, or a loopback host", to)
	}
	first, err := firstOf(req)
	if err != nil {
		return err
	}
	if from := server(first.URL); from != to {
		return fmt.Errorf("oauth2roomtoken: a redirect leads from %s to %s, which must not have the token; use http.Client.CheckRedirect to stop there", from, to)
	}
	return nil
}

// firstOf returns the first request of a chain of redirects: an [http.Client] puts into
// each request the response that led to it, which has the request before.
func firstOf(req *http.Request) (*http.Request, error) {
	for req.Response != nil {
		req = req.Response.Request
		if req == nil || req.URL == nil {
			return nil, errors.New("oauth2roomtoken: a redirect does not say where it comes from, so the token might go astray; an http.RoundTripper around the Transport must keep Request.Response and Response.Request")
		}
	}
	return req, nil
}

// server returns the scheme, host and port of a URL, in one form for each server.
func server(u *url.URL) string {
	port := u.Port()
	switch {
	case port != "":
	case u.Scheme == "https":
		port = "443"
	case u.Scheme == "http":
		port = "80"
	}
	return u.Scheme + "://" + net.JoinHostPort(strings.ToLower(u.Hostname()), port)
}

// isLoopback reports whether requests to the host stay on this machine. net/http sends those
// to "LOCALHOST" to a proxy.
func isLoopback(host string) bool {
	if host == "localhost" {
		return true
	}
	addr, err := netip.ParseAddr(host)
	return err == nil && addr.Unmap().IsLoopback()
}
