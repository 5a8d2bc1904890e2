package roomtoken_test

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/roomtoken/roomtoken"
)

// liveKit signs LiveKit's access tokens, which are JWTs (RFC 7519) signed with HS256. The keys
// of its Manager are "ROOM/IDENTITY". A create takes no call, so it cannot fail because
// of the network, and no refresh token is needed.
type liveKit struct {
	apiKey   string
	secret   roomtoken.Secret
	lifetime time.Duration
}

func (l liveKit) Create(_ context.Context, key string) (roomtoken.Grant, error) {
	room, identity, ok := strings.Cut(key, "/")
	if !ok || room == "" || identity == "" {
		return roomtoken.Grant{}, fmt.Errorf("%w: want ROOM/IDENTITY", roomtoken.ErrRoomNotFound)
	}
	issued := time.Now().Truncate(time.Second)
	expires := issued.Add(l.lifetime)
	claims, err := json.Marshal(map[string]any{
		"iss": l.apiKey, "sub": identity, "nbf": issued.Unix(), "exp": expires.Unix(),
		"video": map[string]any{"room": room, "roomJoin": true},
	})
	if err != nil {
		return roomtoken.Grant{}, roomtoken.Permanent(err)
	}
	return roomtoken.Grant{
		Token:    roomtoken.Token{Value: roomtoken.NewSecret(l.sign(claims)), ExpiresAt: expires},
		IssuedAt: issued,
	}, nil
}

// Refresh is never called, because Create returns no refresh token.
func (liveKit) Refresh(context.Context, string, roomtoken.Token) (roomtoken.Grant, error) {
	return roomtoken.Grant{}, roomtoken.ErrRefreshRejected
}

// sign returns a JWT with the claims.
func (l liveKit) sign(claims []byte) string {
	base64url := base64.RawURLEncoding.EncodeToString
	signed := base64url([]byte(`{"alg":"HS256","typ":"JWT"}`)) + "." + base64url(claims)
	mac := hmac.New(sha256.New, []byte(l.secret.Reveal()))
	mac.Write([]byte(signed))
	return signed + "." + base64url(mac.Sum(nil))
}

// A source for another vendor: LiveKit, whose tokens are signed by the service itself. What
// the Manager adds is that nobody has to think of their end: Watch passes each new one on.
func ExampleTokenSource_liveKit() {
	manager, err := roomtoken.NewManager(liveKit{
		apiKey:   "APIdev",
		secret:   roomtoken.NewSecret("a secret of the project"),
		lifetime: time.Hour,
	}, roomtoken.Config{})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer manager.Close()

	tok, err := manager.Token(context.Background(), "lobby/alice")
	if err != nil {
		fmt.Println(err)
		return
	}
	claims, _ := base64.RawURLEncoding.DecodeString(strings.Split(tok.Value.Reveal(), ".")[1])
	var read struct {
		Issuer  string `json:"iss"`
		Subject string `json:"sub"`
		Video   struct {
			Room     string
			RoomJoin bool
		}
	}
	err = json.Unmarshal(claims, &read)
	fmt.Printf("%+v %v\n", read, err)

	_, err = manager.Token(context.Background(), "lobby")
	fmt.Println(errors.Is(err, roomtoken.ErrRoomNotFound))
	// Output:
	// {Issuer:APIdev Subject:alice Video:{Room:lobby RoomJoin:true}} <nil>
	// true
}
