package telnyx

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"strings"

	"github.com/roomtoken/roomtoken"
)

// checkAPIKey returns an error unless key can be sent in an Authorization header. The
// error completes a sentence that begins with the origin of the key. It does not quote
// the key, which is a secret even if it has a trailing newline.
func checkAPIKey(key string) error {
	if key == "" {
		return errors.New("is empty")
	}
	if strings.ContainsFunc(key, isNotTokenChar) {
		return errors.New("contains white space, control or non-ASCII characters")
	}
	return nil
}

// isNotTokenChar reports whether r is not a visible ASCII character. Bearer tokens have
// no others (RFC 6750, 2.1).
func isNotTokenChar(r rune) bool { return r <= ' ' || r > '~' }

func isControl(r rune) bool { return r < ' ' || r == 0x7f }

// currentKey returns the API key for the Create c.
func (s *Source) currentKey(ctx context.Context, c call) (key string, err error) {
	if s.apiKeyFunc == nil {
		return s.apiKey.Reveal(), nil
	}
	c.redactor = redactor{s.knownKey()}
	defer func() {
		if value := recover(); value != nil {
			cause, _ := value.(error)
			text := "Config.APIKeyFunc panicked: " + c.clean(fmt.Sprint(value), maxOwnText)
			key, err = "", c.fail(text+"\n\n"+string(debug.Stack()), cause)
		}
	}()
	key, err = s.apiKeyFunc(ctx)
	if err != nil {
		c.redactor = append(c.redactor, key) // the error may quote it
		return "", c.fail("Config.APIKeyFunc failed: "+c.clean(err.Error(), maxOwnText), err)
	}
	if err := checkAPIKey(key); err != nil {
		return "", c.fail("the key from Config.APIKeyFunc " + err.Error())
	}
	if key != s.knownKey() {
		secret := roomtoken.NewSecret(key)
		s.newestKey.Store(&secret)
	}
	return key, nil
}

// knownKey returns the API key without calling apiKeyFunc, or "" if it is not known yet.
// Its purpose is redaction.
func (s *Source) knownKey() string {
	if secret := s.newestKey.Load(); secret != nil {
		return secret.Reveal()
	}
	return s.apiKey.Reveal()
}
