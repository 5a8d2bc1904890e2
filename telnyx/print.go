package telnyx

import (
	"fmt"
	"io"
	"log/slog"
	"net/url"
)

// String describes c without its API key.
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
		base = redacted // NewSource refuses it, and it may hold a credential
	}
	return fmt.Sprintf("telnyx.Config{APIKey: %s, BaseURL: %q, TokenTTL: %v, RefreshTokenTTL: %v, Endpoints: %v, UserAgent: %q}",
		key, base, c.TokenTTL, c.RefreshTokenTTL, c.Endpoints, c.UserAgent)
}

// Format implements [fmt.Formatter]: the text of String whatever the verb and
// flags.
func (c Config) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, c.String()) }

// LogValue implements [slog.LogValuer]: the text of String.
func (c Config) LogValue() slog.Value { return slog.StringValue(c.String()) }

// MarshalText implements [encoding.TextMarshaler]: the text of String. There is
// no way back.
func (c Config) MarshalText() ([]byte, error) { return []byte(c.String()), nil }

// String describes s without its API key.
func (s *Source) String() string {
	if s == nil {
		return "telnyx.Source(nil)"
	}
	return fmt.Sprintf("telnyx.Source{%s, %v}", s.baseURL, s.endpoints)
}

// Format implements [fmt.Formatter]: the text of String whatever the verb and
// flags.
func (s *Source) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, s.String()) }

// LogValue implements [slog.LogValuer]: the text of String.
func (s *Source) LogValue() slog.Value { return slog.StringValue(s.String()) }

// MarshalText implements [encoding.TextMarshaler]: the text of String.
func (s *Source) MarshalText() ([]byte, error) { return []byte(s.String()), nil }
