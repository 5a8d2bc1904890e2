package telnyxtest

import (
	"encoding/json"
	"errors"
	"regexp"
	"strings"
	"testing"
	"time"
)

// Tokens have the header and the claims of the example in the API document, and about its
// length.
func TestTokenShape(t *testing.T) {
	for kind, typ := range map[kind]string{clientToken: typAccess, refreshToken: typRefresh} {
		token, expires := newIssuer().mint(kind, roomB, time.Unix(1619093695, 999e6), 600*time.Second)
		if want := time.Unix(1619094295, 0); !expires.Equal(want) {
			t.Errorf("expires at %v, want %v", expires, want)
		}
		parts := strings.Split(token, ".")
		if len(parts) != 3 || len(token) < 600 || len(token) > 660 {
			t.Fatalf("%d parts, %d bytes: %s", len(parts), len(token), token)
		}
		if got := decode(parts[0]); got != `{"alg":"Ed25519","typ":"JWT"}` {
			t.Errorf("header %s", got)
		}
		uuid := regexp.MustCompile(`[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}`)
		got := strings.ReplaceAll(uuid.ReplaceAllString(decode(parts[1]), "UUID"), typ+`"}`, `TYP"}`)
		want := `{"aud":"telnyx_access_token","exp":1619094295,"grants":[{"actions":["join"],` +
			`"resources":["telnyx:video:rooms:UUID"],"subjects":["telnyx:users:UUID"]}],"grants_version":"1.0.0",` +
			`"iat":1619093695,"iss":"telnyx_access_token","jti":"UUID","nbf":1619093694,"sub":"null","typ":"TYP"}`
		if got != want {
			t.Errorf("claims\n%s, want\n%s", got, want)
		}
	}
}

func TestJTIsAreUUIDsInOrder(t *testing.T) {
	i := newIssuer()
	for _, serial := range []uint64{0, 1, 255, 256, 1<<62 - 1} {
		jti := i.jti(serial)
		if !isUUID(jti) || jti[14] != '8' || !strings.ContainsRune("89ab", rune(jti[19])) {
			t.Errorf("%s is not a UUID of version 8", jti)
		}
		if got := serialOf(jti); got != serial {
			t.Errorf("serialOf(jti(%d)) is %d", serial, got)
		}
	}
	var c1, c2 claims
	for _, c := range []*claims{&c1, &c2} {
		token, _ := i.mint(clientToken, roomA, epoch, time.Hour)
		if err := json.Unmarshal([]byte(decode(strings.Split(token, ".")[1])), c); err != nil {
			t.Fatal(err)
		}
	}
	if c1.ID == c2.ID {
		t.Error("two tokens have the same jti")
	}
}

func TestVerify(t *testing.T) {
	const ttl = 10 * time.Second
	issuer, foreign := newIssuer(), newIssuer()
	token, expires := issuer.mint(clientToken, roomA, epoch, ttl)
	other, _ := foreign.mint(clientToken, roomA, epoch, ttl)
	refresh, _ := issuer.mint(refreshToken, roomA, epoch, ttl)
	issued := epoch.Truncate(time.Second)

	// spare differs from token in one padding bit of the signature.
	parts, otherParts := strings.Split(token, "."), strings.Split(other, ".")
	last := token[len(token)-1:]
	spare := token[:len(token)-1] + string(alphabet[strings.Index(alphabet, last)^1])

	for _, tt := range []struct {
		name  string
		token string
		room  string
		at    time.Time
		want  error
	}{
		{"good", token, roomA, epoch, nil},
		{"at once", token, roomA, issued, nil},
		{"last moment", token, roomA, expires.Add(-1), nil},
		{"expired", token, roomA, expires, ErrExpired},
		{"a second early", token, roomA, issued.Add(-time.Second), nil},
		{"before nbf", token, roomA, issued.Add(-time.Second - 1), ErrExpired},
		{"another room", token, roomB, epoch, ErrInvalid},
		{"refresh token", refresh, roomA, epoch, ErrInvalid},
		{"another server", other, roomA, epoch, ErrInvalid},
		{"another signature", parts[0] + "." + parts[1] + "." + otherParts[2], roomA, epoch, ErrInvalid},
		{"another payload", parts[0] + "." + otherParts[1] + "." + parts[2], roomA, epoch, ErrInvalid},
		{"another header", encode(`{"alg":"none"}`) + "." + parts[1] + "." + parts[2], roomA, epoch, ErrInvalid},
		{"spare bit", spare, roomA, epoch, ErrInvalid},
		{"no signature", parts[0] + "." + parts[1] + ".", roomA, epoch, ErrInvalid},
		{"empty", "", roomA, epoch, ErrInvalid},
		{"garbage", "a.b.c", roomA, epoch, ErrInvalid},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if err := issuer.check(tt.token, clientToken, tt.room, tt.at); !errors.Is(err, tt.want) {
				t.Errorf("got %v, want %v", err, tt.want)
			}
		})
	}
}

const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"

// A payload that is signed but malformed is refused.
func TestVerifyMalformedPayload(t *testing.T) {
	i := newIssuer()
	if err := i.check(i.sign(ed25519Header, "x"), clientToken, roomA, epoch); !errors.Is(err, ErrInvalid) {
		t.Errorf("got %v, want %v", err, ErrInvalid)
	}
}

func TestRevocation(t *testing.T) {
	for _, tt := range []struct {
		name  string
		rooms []string
		wantA error
		wantB error
	}{
		{"one room", []string{strings.ToUpper(roomA)}, ErrRevoked, nil},
		{"two rooms", []string{roomA, roomB}, ErrRevoked, ErrRevoked},
		{"all rooms", nil, ErrRevoked, ErrRevoked},
	} {
		for kind, other := range map[kind]kind{clientToken: refreshToken, refreshToken: clientToken} {
			t.Run(tt.name+" "+kind.String(), func(t *testing.T) {
				srv := Start(t, Config{})
				i := srv.issuer
				revoke := srv.RevokeTokens
				if kind == refreshToken {
					revoke = srv.RevokeRefreshTokens
				}
				spared, _ := i.mint(other, roomA, epoch, time.Hour)
				old := map[string]string{}
				for _, room := range []string{roomB, roomA} { // roomA last: revoke includes the newest token
					old[room], _ = i.mint(kind, room, epoch, time.Hour)
				}
				revoke(tt.rooms...)

				for room, want := range map[string]error{roomA: tt.wantA, roomB: tt.wantB} {
					if err := i.check(old[room], kind, room, epoch); !errors.Is(err, want) {
						t.Errorf("old token: got %v, want %v", err, want)
					}
					fresh, _ := i.mint(kind, room, epoch, time.Hour)
					if err := i.check(fresh, kind, room, epoch); err != nil {
						t.Errorf("new token: %v", err)
					}
				}
				if err := i.check(spared, other, roomA, epoch); err != nil {
					t.Errorf("token of the other kind: %v", err)
				}
			})
		}
	}
}
