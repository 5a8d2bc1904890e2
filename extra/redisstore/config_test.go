package redisstore_test

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"github.com/redis/go-redis/v9"

	"github.com/roomtoken/roomtoken/extra/redisstore"
)

func TestNewNamesEachBadField(t *testing.T) {
	client := newClient(t, "127.0.0.1:1")
	keys := [][]byte{testKey(1)}
	var typedNil *redis.Client
	for _, test := range []struct {
		name   string
		client redis.UniversalClient
		config redisstore.Config
		want   []string
	}{
		{"nil client", nil, redisstore.Config{EncryptionKeys: keys}, []string{"the client is nil"}},
		{"typed nil client", typedNil, redisstore.Config{EncryptionKeys: keys}, []string{"the client is nil"}},
		{"Ring", redis.NewRing(&redis.RingOptions{}), redisstore.Config{EncryptionKeys: keys}, []string{"Ring"}},
		{"long prefix", client, redisstore.Config{Prefix: strings.Repeat("x", 65), EncryptionKeys: keys}, []string{"Prefix has 65 bytes"}},
		{"brace in prefix", client, redisstore.Config{Prefix: "a{b}", EncryptionKeys: keys}, []string{"Prefix contains '{'"}},
		{"not ASCII", client, redisstore.Config{Prefix: "é", EncryptionKeys: keys}, []string{"Prefix contains"}},
		{"no keys", client, redisstore.Config{}, []string{"EncryptionKeys is empty", "AllowPlaintext"}},
		{"both", client, redisstore.Config{EncryptionKeys: keys, AllowPlaintext: true}, []string{"EncryptionKeys and AllowPlaintext"}},
		{"short key", client, redisstore.Config{EncryptionKeys: [][]byte{testKey(1), []byte("canary")}}, []string{"EncryptionKeys", "key 1 has 6 bytes"}},
		{"everything", nil, redisstore.Config{Prefix: " ", EncryptionKeys: [][]byte{[]byte("canary")}, AllowPlaintext: true}, []string{"client", "Prefix", "AllowPlaintext", "key 0 has 6 bytes"}},
	} {
		s, err := redisstore.New(test.client, test.config)
		if err == nil || s != nil {
			t.Errorf("%s: %v, %v", test.name, s, err)
			continue
		}
		for _, want := range test.want {
			if !strings.Contains(err.Error(), want) {
				t.Errorf("%s: %q does not say %q", test.name, err, want)
			}
		}
		if strings.Contains(err.Error(), "canary") {
			t.Errorf("%s: %q shows a key", test.name, err)
		}
	}
}

func TestNewMakesNoCall(t *testing.T) {
	var calls commands
	client := newClient(t, "127.0.0.1:1")
	client.AddHook(&calls)
	for _, config := range []redisstore.Config{
		{EncryptionKeys: [][]byte{testKey(1), testKey(2)}},
		{Prefix: strings.Repeat("aZ09._:-", 8), AllowPlaintext: true},
	} {
		if _, err := redisstore.New(client, config); err != nil {
			t.Errorf("%v: %v", config, err)
		}
	}
	if n := calls.sent.Load(); n != 0 {
		t.Errorf("%d commands", n)
	}
}

func TestDefaultPrefix(t *testing.T) {
	s, err := redisstore.New(newClient(t, "127.0.0.1:1"), redisstore.Config{AllowPlaintext: true})
	if err != nil || s.String() != "redisstore.Store(roomtoken:)" {
		t.Errorf("%v, %v", s, err)
	}
}

func TestPrintsWithoutKeys(t *testing.T) {
	const canary = "canary-canary-canary-canary-cana"
	config := redisstore.Config{EncryptionKeys: [][]byte{[]byte(canary)}}
	type holder struct {
		Config redisstore.Config
		Store  *redisstore.Store
		store  *redisstore.Store
	}
	s := newStore(t, newClient(t, "127.0.0.1:1"), config)
	for _, v := range []any{config, &config, holder{config, s, s}, s, *s} {
		var text strings.Builder
		for _, verb := range "vsdxXqbocU" {
			for _, flag := range []string{"", "+", "#"} {
				fmt.Fprintf(&text, "%"+flag+string(verb)+"\n", v)
			}
		}
		slog.New(slog.NewTextHandler(&text, nil)).Info("", "v", v)
		if err := json.NewEncoder(&text).Encode(v); err != nil {
			t.Error(err)
		}
		for _, form := range []string{"canary", fmt.Sprintf("%x", "canary"), fmt.Sprintf("%X", "canary"), "99 97 110", "Y2FuYXJ5"} {
			if strings.Contains(text.String(), form) {
				t.Errorf("%T shows a key: %s", v, text.String())
			}
		}
	}
	if got, want := fmt.Sprint(config), `redisstore.Config{Prefix: "", EncryptionKeys: 1, AllowPlaintext: false}`; got != want {
		t.Errorf("%s, want %s", got, want)
	}
}
