package storeseal_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/roomtoken/roomtoken"
	"github.com/roomtoken/roomtoken/storeseal"
)

// testKey returns a key of 32 bytes, another one for each n.
func testKey(n byte) []byte { return bytes.Repeat([]byte{n, 0xA5}, 16) }

func newSealer(t testing.TB, prefix string, keys ...[]byte) *storeseal.Sealer {
	t.Helper()
	s, err := storeseal.New(prefix, keys...)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func seal(t testing.TB, s *storeseal.Sealer, roomID string, r roomtoken.Record) []byte {
	t.Helper()
	sealed, err := s.Seal(roomID, r)
	if err != nil {
		t.Fatal(err)
	}
	return sealed
}

// full has another value in each field.
func full() roomtoken.Record {
	return roomtoken.Record{
		Version:         1_795_000_000_000_001,
		Token:           roomtoken.NewSecret("an-access-token"),
		RefreshToken:    roomtoken.NewSecret("a-refresh-token"),
		Began:           1_795_000_000_000_002,
		Lifetime:        time.Hour + time.Nanosecond,
		RefreshLifetime: 24 * time.Hour,
		RenewAge:        50 * time.Minute,
		HandOutAge:      55 * time.Minute,
		Refusals:        3,
	}
}

// least has only what a record needs.
func least() roomtoken.Record {
	return roomtoken.Record{Version: 1, Token: roomtoken.NewSecret("t"), Lifetime: 1}
}

// most has the largest value in each field.
func most() roomtoken.Record {
	const life = 100 * 365 * 24 * time.Hour
	return roomtoken.Record{
		Version:         math.MaxUint64,
		Token:           roomtoken.NewSecret(strings.Repeat("\xff", 32<<10)),
		RefreshToken:    roomtoken.NewSecret(strings.Repeat("\x00", 31<<10)),
		Began:           -1 << 53,
		Lifetime:        life,
		RefreshLifetime: life,
		RenewAge:        life,
		HandOutAge:      life,
		Refusals:        math.MaxInt32,
	}
}

func equal(a, b roomtoken.Record) bool {
	secrets := a.Token.Equal(b.Token) && a.RefreshToken.Equal(b.RefreshToken)
	a.Token, a.RefreshToken, b.Token, b.RefreshToken = roomtoken.Secret{}, roomtoken.Secret{}, roomtoken.Secret{}, roomtoken.Secret{}
	return secrets && fmt.Sprintf("%+v", a) == fmt.Sprintf("%+v", b)
}

// sealers are one of each kind.
func sealers(t testing.TB) map[string]*storeseal.Sealer {
	t.Helper()
	return map[string]*storeseal.Sealer{
		"encrypted": newSealer(t, "p:", testKey(1)),
		"plain":     storeseal.Plaintext("p:"),
	}
}

func TestAllFieldsComeBack(t *testing.T) {
	for kind, s := range sealers(t) {
		for _, roomID := range []string{"lobby", "", "{}\x00\xff", strings.Repeat("r", 1024)} {
			for name, want := range map[string]roomtoken.Record{"full": full(), "least": least(), "most": most()} {
				got, err := s.Open(roomID, seal(t, s, roomID, want))
				if err != nil || !equal(got, want) {
					t.Errorf("%s, %s record of room %.10q: %+v, %v; want %+v", kind, name, roomID, got, err, want)
				}
			}
		}
	}
}

func TestEncryptedValuesShowNothing(t *testing.T) {
	s := newSealer(t, "p:", testKey(1))
	first, second := seal(t, s, "lobby", full()), seal(t, s, "lobby", full())
	for _, text := range []string{"an-access-token", "a-refresh-token", string(testKey(1)[:8])} {
		if bytes.Contains(first, []byte(text)) {
			t.Errorf("a sealed record contains %q", text)
		}
	}
	const head = 1 + 4
	if !bytes.Equal(first[:head], second[:head]) || bytes.Equal(first[head:], second[head:]) {
		t.Error("two seals of a record must have the schema and the key's name in common, and nothing else")
	}
}

// Any bit, any end, and any other place.
func TestChangedValuesAreDamaged(t *testing.T) {
	for kind, s := range sealers(t) {
		sealed := seal(t, s, "lobby", full())
		for i := range sealed {
			for bit := range 8 {
				changed := bytes.Clone(sealed)
				changed[i] ^= 1 << bit
				want := storeseal.ErrDamaged
				switch {
				case i == 0 && kind == "plain" && changed[0] == 1: // the schema of encrypted records
					want = storeseal.ErrNoKey
				case i == 0:
					want = storeseal.ErrSchema
				case i < 5 && kind == "encrypted":
					want = storeseal.ErrNoKey
				}
				if r, err := s.Open("lobby", changed); !errors.Is(err, want) || !equal(r, roomtoken.Record{}) {
					t.Errorf("%s, byte %d, bit %d: %+v, %v; want %v", kind, i, bit, r, err, want)
				}
			}
			if _, err := s.Open("lobby", sealed[:i]); !errors.Is(err, storeseal.ErrDamaged) {
				t.Errorf("%s, cut to %d bytes: %v", kind, i, err)
			}
		}
		if _, err := s.Open("lobby", append(bytes.Clone(sealed), 0)); !errors.Is(err, storeseal.ErrDamaged) {
			t.Errorf("%s, with a byte more: %v", kind, err)
		}
		if _, err := s.Open("hall", sealed); !errors.Is(err, storeseal.ErrDamaged) {
			t.Errorf("%s, moved to another room: %v", kind, err)
		}
		if _, err := s.Open("lobby", make([]byte, storeseal.MaxSize+1)); !errors.Is(err, storeseal.ErrDamaged) {
			t.Errorf("%s, too long: %v", kind, err)
		}
	}
}

// Prefix and room ID are kept apart: "ab" and "c" is another place than "a" and "bc".
func TestValuesAreBoundToTheirPlace(t *testing.T) {
	for kind, maker := range map[string]func(prefix string) *storeseal.Sealer{
		"encrypted": func(prefix string) *storeseal.Sealer { return newSealer(t, prefix, testKey(1)) },
		"plain":     storeseal.Plaintext,
	} {
		sealed := seal(t, maker("ab"), "c", full())
		for _, place := range [][2]string{{"a", "bc"}, {"abc", ""}, {"", "abc"}, {"b", "c"}} {
			if _, err := maker(place[0]).Open(place[1], sealed); !errors.Is(err, storeseal.ErrDamaged) {
				t.Errorf("%s: opened as room %q of prefix %q: %v", kind, place[1], place[0], err)
			}
		}
	}
}

func TestRotation(t *testing.T) {
	before := newSealer(t, "p:", testKey(1))
	added := newSealer(t, "p:", testKey(1), testKey(2))
	first := newSealer(t, "p:", testKey(2), testKey(1))
	after := newSealer(t, "p:", testKey(2))
	for _, test := range []struct {
		name     string
		from, to *storeseal.Sealer
		want     error
	}{
		{"old to added", before, added, nil},
		{"added to old", added, before, nil},
		{"added to first", added, first, nil},
		{"first to added", first, added, nil},
		{"first to new", first, after, nil},
		{"new to first", after, first, nil},
		{"old to new", before, after, storeseal.ErrNoKey},
		{"first to old", first, before, storeseal.ErrNoKey},
	} {
		if r, err := test.to.Open("lobby", seal(t, test.from, "lobby", full())); !errors.Is(err, test.want) || equal(r, full()) != (test.want == nil) {
			t.Errorf("%s: %+v, %v; want %v", test.name, r, err, test.want)
		}
	}
}

// The names are what stands behind the schema, in the order of the keys.
func TestNames(t *testing.T) {
	one, two := newSealer(t, "p:", testKey(1)), newSealer(t, "p:", testKey(2))
	both := newSealer(t, "q:", testKey(2), testKey(1)).Names()
	for i, s := range []*storeseal.Sealer{two, one} {
		names := s.Names()
		if len(names) != 1 || len(names[0]) != 4 || len(both) != 2 || both[i] != names[0] {
			t.Errorf("%q, and with both keys %q", names, both)
		}
		if sealed := seal(t, s, "lobby", full()); string(sealed[1:5]) != names[0] {
			t.Errorf("%q is sealed with the name %q", names, sealed[1:5])
		}
	}
	if both[0] == both[1] {
		t.Errorf("two keys have the name %q", both[0])
	}
	if names := storeseal.Plaintext("p:").Names(); len(names) != 1 || names[0] != "" {
		t.Errorf("in the clear: %q", names)
	}
	if names := new(storeseal.Sealer).Names(); len(names) != 0 {
		t.Errorf("the zero Sealer has %q", names)
	}
}

func TestPlainAndEncryptedAreNotTakenForEachOther(t *testing.T) {
	both := sealers(t)
	encrypted, plain := seal(t, both["encrypted"], "lobby", full()), seal(t, both["plain"], "lobby", full())
	if _, err := both["plain"].Open("lobby", encrypted); !errors.Is(err, storeseal.ErrNoKey) {
		t.Errorf("an encrypted record without keys: %v", err)
	}
	if _, err := both["encrypted"].Open("lobby", plain); !errors.Is(err, storeseal.ErrSchema) {
		t.Errorf("a record in the clear with keys: %v", err)
	}
	for kind, s := range both {
		if _, err := s.Open("lobby", []byte{3, 1, 2, 3}); !errors.Is(err, storeseal.ErrSchema) || !strings.Contains(err.Error(), "schema 3") {
			t.Errorf("%s: a record of schema 3: %v", kind, err)
		}
	}
}

func TestNewNamesEachBadKey(t *testing.T) {
	for _, test := range []struct {
		name string
		keys [][]byte
		want []string
	}{
		{"none", nil, []string{"there is no key"}},
		{"short, long, empty", [][]byte{testKey(1)[:31], append(testKey(2), 0), nil}, []string{"key 0 has 31 bytes", "key 1 has 33 bytes", "key 2 has 0 bytes"}},
		{"twice", [][]byte{testKey(1), testKey(2), testKey(1)}, []string{"key 2 is the same as key 0"}},
		{"good and bad", [][]byte{testKey(1), []byte("canary")}, []string{"key 1 has 6 bytes"}},
	} {
		s, err := storeseal.New("p:", test.keys...)
		if err == nil || s != nil {
			t.Fatalf("%s: %v, %v", test.name, s, err)
		}
		for _, want := range test.want {
			if !strings.Contains(err.Error(), want) {
				t.Errorf("%s: %q does not say %q", test.name, err, want)
			}
		}
		if strings.Count(err.Error(), "\n") != len(test.want)-1 || strings.Contains(err.Error(), "canary") {
			t.Errorf("%s: %q", test.name, err)
		}
	}
}

// What is no record is refused before it gets into a store, and when it comes from one.
func TestOnlyRecords(t *testing.T) {
	for name, change := range map[string]func(*roomtoken.Record){
		"no version":                func(r *roomtoken.Record) { r.Version = 0 },
		"no token":                  func(r *roomtoken.Record) { r.Token = roomtoken.Secret{} },
		"no lifetime":               func(r *roomtoken.Record) { r.Lifetime = 0 },
		"negative lifetime":         func(r *roomtoken.Record) { r.Lifetime = -1 },
		"endless lifetime":          func(r *roomtoken.Record) { r.Lifetime = math.MaxInt64 },
		"negative refresh lifetime": func(r *roomtoken.Record) { r.RefreshLifetime = -1 },
		"negative renew age":        func(r *roomtoken.Record) { r.RenewAge = -1 },
		"endless renew age":         func(r *roomtoken.Record) { r.RenewAge = math.MaxInt64 },
		"negative hand-out age":     func(r *roomtoken.Record) { r.HandOutAge = -1 },
		"negative refusals":         func(r *roomtoken.Record) { r.Refusals = -1 },
		"too early":                 func(r *roomtoken.Record) { r.Began = -1<<53 - 1 },
		"too late":                  func(r *roomtoken.Record) { r.Began = 1<<53 + 1 },
		"too long":                  func(r *roomtoken.Record) { r.Token = roomtoken.NewSecret(strings.Repeat("x", storeseal.MaxSize)) },
	} {
		r := full()
		change(&r)
		for kind, s := range sealers(t) {
			if sealed, err := s.Seal("lobby", r); err == nil || sealed != nil {
				t.Errorf("%s: %s was sealed", kind, name)
			}
		}
		if name == "too long" {
			continue
		}
		if got, err := storeseal.Plaintext("p:").Open("lobby", storeseal.Forge("p:", "lobby", r)); !errors.Is(err, storeseal.ErrDamaged) || !equal(got, roomtoken.Record{}) {
			t.Errorf("%s was opened: %+v, %v", name, got, err)
		}
	}
}

// A checksum that is right does not make a record of what is none.
func TestOnlyWholeRecords(t *testing.T) {
	s := storeseal.Plaintext("p:")
	whole := storeseal.Encode(full())
	if _, err := s.Open("lobby", storeseal.ForgeBytes("p:", "lobby", whole)); err != nil {
		t.Fatal(err)
	}
	forged := map[string][]byte{
		"a byte more":         append(bytes.Clone(whole), 0),
		"too many refusals":   append(bytes.Clone(whole[:len(whole)-1]), 0x80, 0x80, 0x80, 0x80, 0x10),
		"an endless number":   bytes.Repeat([]byte{0xff}, 11),
		"an endless token":    {1, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1},
		"more than MaxSize":   append([]byte{1, 0x81, 0x80, 0x04}, make([]byte, storeseal.MaxSize+9)...),
		"a token cut short":   {1, 5, 't'},
		"an endless lifetime": append([]byte{1, 1, 't', 0, 0}, bytes.Repeat([]byte{0xff}, 9)...),
	}
	for i := range whole {
		forged[fmt.Sprintf("cut to %d bytes", i)] = whole[:i]
	}
	for name, encoded := range forged {
		if r, err := s.Open("lobby", storeseal.ForgeBytes("p:", "lobby", encoded)); !errors.Is(err, storeseal.ErrDamaged) {
			t.Errorf("%s: %+v, %v", name, r, err)
		}
	}
}

func TestZeroSealer(t *testing.T) {
	var s storeseal.Sealer
	if _, err := s.Seal("lobby", full()); err == nil {
		t.Error("the zero Sealer seals")
	}
	for kind, other := range sealers(t) {
		if _, err := s.Open("lobby", seal(t, other, "lobby", full())); err == nil {
			t.Errorf("the zero Sealer opens what is %s", kind)
		}
	}
}

// Two keys whose names are the same: both are tried.
func TestKeysOfOneName(t *testing.T) {
	a, b := storeseal.Collide(testKey(1), testKey(2))
	for _, s := range []*storeseal.Sealer{a, b} {
		if r, err := storeseal.Merge(a, b).Open("lobby", seal(t, s, "lobby", full())); err != nil || !equal(r, full()) {
			t.Errorf("%+v, %v", r, err)
		}
	}
	if _, err := b.Open("lobby", seal(t, a, "lobby", full())); !errors.Is(err, storeseal.ErrDamaged) {
		t.Errorf("with the wrong one of the two: %v", err)
	}
}

func TestPrintsWithoutKeys(t *testing.T) {
	canary := []byte("canary-canary-canary-canary-cana")
	s := newSealer(t, "p:", canary)
	type holder struct {
		pointer *storeseal.Sealer
		value   storeseal.Sealer
		Pointer *storeseal.Sealer
		Value   storeseal.Sealer
	}
	h := holder{s, *s, s, *s}
	secrets := storeseal.Secrets(s)
	for _, v := range []any{s, *s, h, &h, []any{h}, map[string]holder{"": h}, storeseal.Plaintext("p:"), storeseal.Sealer{}} {
		var text strings.Builder
		for _, verb := range "vsdxXqTopbcUeEfFgGt" {
			for _, flag := range []string{"", "+", "#", "0", " ", "-"} {
				fmt.Fprintf(&text, "%"+flag+string(verb)+"\n", v)
			}
		}
		slog.New(slog.NewTextHandler(&text, nil)).Info("", "v", v)
		slog.New(slog.NewJSONHandler(&text, nil)).Info("", "v", v)
		if err := json.NewEncoder(&text).Encode(v); err != nil {
			t.Error(err)
		}
		for _, secret := range append(secrets, canary) {
			for _, form := range []string{string(secret[:8]), fmt.Sprintf("%x", secret[:8]), fmt.Sprintf("%X", secret[:8]), strings.Trim(fmt.Sprintf("%d", secret[:8]), "[]"), strings.Trim(fmt.Sprintf("%#v", secret[:4]), "[]byte{}")} {
				if strings.Contains(text.String(), form) {
					t.Errorf("%T shows a key: %s", v, form)
				}
			}
		}
	}
	for want, v := range map[string]any{
		`storeseal.Sealer("p:", keys: 1)`:   s,
		`storeseal.Sealer("p:", plaintext)`: storeseal.Plaintext("p:"),
		`storeseal.Sealer(none)`:            storeseal.Sealer{},
	} {
		if got := fmt.Sprint(v); got != want {
			t.Errorf("prints as %q, want %q", got, want)
		}
	}
}
