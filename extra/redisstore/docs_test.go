package redisstore_test

import (
	"testing"

	"github.com/roomtoken/roomtoken/internal/doctest"
)

// The code on the project's pages that uses this module.
func TestDocsCode(t *testing.T) {
	const module = "github.com/roomtoken/roomtoken"
	env := doctest.Env{
		Packages:  []string{"context", "errors", "fmt", "time", "redis github.com/redis/go-redis/v9", module, module + "/extra/redisstore"},
		Variables: "var source roomtoken.TokenSource\nvar key []byte\nvar ctx context.Context\n",
	}
	doctest.Open(t, "../..").CheckGo(t, env, func(block doctest.Code) bool {
		return doctest.UsesAny(block, "redisstore")
	})
}
