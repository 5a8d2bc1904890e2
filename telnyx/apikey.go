package telnyx

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"strings"

	"github.com/roomtoken/roomtoken"
)

// checkAPIKey returns an error, to stand behind the name of where the key comes
// from, unless key can stand in an Authorization header. It does not quote the
// key: one with a newline at its end is still a key.
func checkAPIKey(key string) error {
	if key == "" {
		return errors.New("is empty")
	}
	if strings.ContainsFunc(key, isNotTokenChar) {
		return errors.New("contains white space, control or non-ASCII characters, as no API key does")
	}
	return nil
}

// isNotTokenChar reports whether r is anything but a visible ASCII character,
// which all that can follow "Bearer " are (RFC 6750, 2.1).
func isNotTokenChar(r rune) bool { return r <= ' ' || r > '~' }

func isControl(r rune) bool { return r < ' ' || r == 0x7f }

// currentKey returns the API key for c, a Create.
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
		c.redactor = append(c.redactor, key) // should one have come all the same
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

// knownKey is the API key as far as it is known without asking for it, to keep it
// out of errors; "" if it is not.
func (s *Source) knownKey() string {
	if secret := s.newestKey.Load(); secret != nil {
		return secret.Reveal()
	}
	return s.apiKey.Reveal()
}
