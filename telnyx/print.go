package telnyx

import (
	"fmt"
	"io"
	"log/slog"
	"net/url"
)

// String returns a description of c without the API key.
func (c Config) String() string {
	key := "none"
	switch {
	case c.APIKeyFunc != nil:
		key = "from APIKeyFunc"
	case c.APIKey != "":
		key = redacted
	}
	base := c.BaseURL
	if u, err := url.Parse(base); err != nil || u.User != nil || u.RawQuery != "" || u.Fragment != "" {
		base = redacted // NewSource rejects it, and it may contain credentials
	}
	plain := ""
	if c.AllowPlainHTTP {
		plain = ", AllowPlainHTTP: true"
	}
	return fmt.Sprintf("telnyx.Config{APIKey: %s, BaseURL: %q%s, TokenTTL: %v, RefreshTokenTTL: %v, Endpoints: %v, UserAgent: %q}",
		key, base, plain, c.TokenTTL, c.RefreshTokenTTL, c.Endpoints, c.UserAgent)
}

// Format implements [fmt.Formatter]. It writes the text of String for every verb.
func (c Config) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, c.String()) }

// LogValue implements [slog.LogValuer] with the text of String.
func (c Config) LogValue() slog.Value { return slog.StringValue(c.String()) }

// MarshalText implements [encoding.TextMarshaler] with the text of String. It cannot be
// unmarshaled.
func (c Config) MarshalText() ([]byte, error) { return []byte(c.String()), nil }

// String returns a description of s without the API key.
func (s *Source) String() string {
	if s == nil {
		return "telnyx.Source(nil)"
	}
	return fmt.Sprintf("telnyx.Source{%s, %v}", s.baseURL, s.endpoints)
}

// Format implements [fmt.Formatter]. It writes the text of String for every verb.
func (s *Source) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, s.String()) }

// LogValue implements [slog.LogValuer] with the text of String.
func (s *Source) LogValue() slog.Value { return slog.StringValue(s.String()) }

// MarshalText implements [encoding.TextMarshaler] with the text of String.
func (s *Source) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// String returns a description of s without the API key.
func (s *CredentialSource) String() string {
	if s == nil {
		return "telnyx.CredentialSource(nil)"
	}
	return fmt.Sprintf("telnyx.CredentialSource{%s}", s.baseURL)
}

// Format implements [fmt.Formatter]. It writes the text of String for every verb.
func (s *CredentialSource) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, s.String()) }

// LogValue implements [slog.LogValuer] with the text of String.
func (s *CredentialSource) LogValue() slog.Value { return slog.StringValue(s.String()) }

// MarshalText implements [encoding.TextMarshaler] with the text of String.
func (s *CredentialSource) MarshalText() ([]byte, error) { return []byte(s.String()), nil }
