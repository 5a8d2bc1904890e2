package redisstore_test

import (
	"testing"

	"github.com/roomtoken/roomtoken/internal/doctest"
)

// The code on the project's pages that uses this module.
func TestDocsCode(t *testing.T) {
	const module = "github.com/roomtoken/roomtoken"
	env := doctest.Env{
		Packages: []string{
			"context", "crypto/tls", "crypto/x509", "encoding/base64", "errors", "fmt", "os", "time",
			"redis github.com/redis/go-redis/v9", module, module + "/extra/redisstore",
		},
		Variables: `
var (
	ctx                 context.Context
	source              roomtoken.TokenSource
	client              redis.UniversalClient
	key, oldKey, newKey []byte
)
`,
	}
	doctest.Open(t, "../..").CheckGo(t, env, func(block doctest.Code) bool {
		return doctest.UsesAny(block, "redisstore")
	})
}
