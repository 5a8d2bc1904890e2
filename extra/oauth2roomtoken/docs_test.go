package oauth2roomtoken_test

import (
	"testing"

	"github.com/roomtoken/roomtoken/internal/doctest"
)

// The code on the project's pages that uses this module.
func TestDocsCode(t *testing.T) {
	const module = "github.com/roomtoken/roomtoken"
	env := doctest.Env{
		Packages: []string{
			"context", "errors", "fmt", "net/http", "golang.org/x/oauth2", "golang.org/x/oauth2/clientcredentials",
			module, module + "/extra/oauth2roomtoken",
		},
		Variables: "var manager *roomtoken.Manager\nvar ctx context.Context\n",
	}
	doctest.Open(t, "../..").CheckGo(t, env, func(block doctest.Code) bool {
		return doctest.UsesAny(block, "oauth2", "oauth2roomtoken")
	})
}
