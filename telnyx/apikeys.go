package telnyx

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"

	"github.com/roomtoken/roomtoken"
)

// apiKeys provides the API keys of a client.
type apiKeys struct {
	fixed roomtoken.Secret // zero if call is set
	call  *keyFunc         // nil: the key is fixed
	known *knownKeys
}

func newAPIKeys(c Config) apiKeys {
	keys := apiKeys{fixed: roomtoken.NewSecret(c.APIKey), known: new(knownKeys)}
	keys.known.add(c.APIKey)
	if c.APIKeyFunc != nil {
		keys.call = &keyFunc{call: c.APIKeyFunc}
	}
	return keys
}

// get returns the API key for the call c.
func (k apiKeys) get(ctx context.Context, c call) (string, error) {
	if k.call == nil {
		return k.fixed.Reveal(), nil
	}
	if ctx == nil {
		return "", c.fail("nil Context")
	}
	c.redactor = k.known.redactor()
	result, tooMany := k.call.ask(ctx)
	switch {
	case tooMany:
		return "", c.fail(fmt.Sprintf("%d calls of Config.APIKeyFunc have not returned after their ctx ended", maxAbandoned))
	case result == nil:
		cause := context.Cause(ctx)
		return "", c.fail("waiting for Config.APIKeyFunc: "+c.clean(cause.Error(), maxOwnText), cause, ctx.Err())
	case result.thrown != "":
		panicked := &roomtoken.PanicError{Stack: result.stack} // its Value may hold a key
		return "", c.fail("Config.APIKeyFunc "+c.clean(result.thrown, maxOwnText), panicked, result.err)
	}
	if err := result.err; err != nil {
		c.redactor = append(c.redactor, result.key) // the error may quote it
		return "", c.fail("Config.APIKeyFunc failed: "+c.clean(err.Error(), maxOwnText), err)
	}
	if err := checkAPIKey(result.key); err != nil {
		return "", c.fail("the key from Config.APIKeyFunc "+err.Error(), roomtoken.ErrPermanent)
	}
	k.known.add(result.key)
	return result.key, nil
}

// checkAPIKey returns an error unless key can be sent in an Authorization header. The
// error completes a sentence that begins with the origin of the key. It does not quote
// the key, which is a secret even if it has a trailing newline.
func checkAPIKey(key string) error {
	switch {
	case key == "":
		return errors.New("is empty")
	case !strings.ContainsFunc(key, isNotTokenChar):
		return nil
	case strings.HasSuffix(key, "\n"):
		return errors.New("ends in a newline; remove it")
	}
	return errors.New("contains white space, control or non-ASCII characters")
}

// isNotTokenChar reports whether r is not a visible ASCII character. Bearer tokens have
// no others (RFC 6750, 2.1).
func isNotTokenChar(r rune) bool { return r <= ' ' || r > '~' }

func isControl(r rune) bool { return r < ' ' || r == 0x7f }

// knownKeys are the API keys to redact: the newest one, and the one before it, which a
// call may have sent. A call that only redacts needs no call of Config.APIKeyFunc.
type knownKeys struct {
	mu   sync.Mutex
	keys [2]roomtoken.Secret // the newest one first
}

func (k *knownKeys) add(key string) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if secret := roomtoken.NewSecret(key); !secret.Equal(k.keys[0]) {
		k.keys = [...]roomtoken.Secret{secret, k.keys[0]}
	}
}

func (k *knownKeys) redactor() redactor {
	k.mu.Lock()
	defer k.mu.Unlock()
	return append(make(redactor, 0, 4), k.keys[0].Reveal(), k.keys[1].Reveal()) // the caller adds one or two
}
