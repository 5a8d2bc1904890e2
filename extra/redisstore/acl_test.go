package redisstore_test

import (
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/redis/go-redis/v9"

	"github.com/roomtoken/roomtoken/extra/redisstore"
	"github.com/roomtoken/roomtoken/storetest"
)

// aclPage says what a user of the server needs.
const aclPage = "../../docs/fleet.md"

// rules returns what a page lets a user of the server do, with another prefix.
func rules(t *testing.T, page, prefix string) (args []any) {
	t.Helper()
	text, err := os.ReadFile(page)
	must(t, err)
	_, after, _ := strings.Cut(string(text), "ACL SETUSER app")
	after, _, _ = strings.Cut(after, "```")
	for rule := range strings.FieldsSeq(after) {
		args = append(args, strings.ReplaceAll(rule, "roomtoken:", prefix))
	}
	if len(args) < 10 {
		t.Fatalf("%s has the rules %q", page, args)
	}
	return args
}

func TestPagesAgreeOnACL(t *testing.T) {
	if got, want := rules(t, "README.md", "roomtoken:"), rules(t, aclPage, "roomtoken:"); !slices.Equal(got, want) {
		t.Errorf("README.md: %q\n%s: %q", got, aclPage, want)
	}
}

// become makes a client that of the user.
func become(o *redis.Options) { o.Username, o.Password = "app", "secret" }

// A user who may do what the pages say may do all that a Store does.
func TestACL(t *testing.T) {
	t.Parallel()
	addr := ownServer(t)
	admin := newClient(t, addr)
	storetest.Run(t, func(t *testing.T) storetest.Harness {
		prefix := prefixOf(t)
		must(t, admin.ScriptFlush(t.Context()).Err())
		must(t, admin.Do(t.Context(), append([]any{"ACL", "SETUSER", "app", "reset"}, rules(t, aclPage, prefix)...)...).Err())
		return newHarness(t, addr, redisstore.Config{Prefix: prefix, AllowPlaintext: true}, become)
	})
	entries, err := admin.ACLLog(t.Context(), 10).Result()
	must(t, err)
	for _, e := range entries {
		t.Errorf("denied: %s %s (%v)", e.Reason, e.Object, e.ClientInfo)
	}
}
