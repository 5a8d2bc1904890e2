package telnyxtest

import (
	"encoding/json"
	"net/http"
	"testing"
	"time"
)

// FuzzRequest makes calls with any path, Content-Type and body: each one is answered, with
// tokens that are valid or with an error that says why not.
func FuzzRequest(f *testing.F) {
	srv := &Server{APIKey: DefaultAPIKey, rooms: newRooms(nil), issuer: newIssuer(), ledger: newLedger()}
	token, _ := srv.issuer.mint(refreshToken, roomA, epoch, time.Hour)
	for _, seed := range []struct{ path, contentType, body string }{
		{"/v2/rooms/" + roomA + "/actions/" + create, "application/json", `{"token_ttl_secs":6e1,"refresh_token_ttl_secs":60.0}`},
		{"/v2/rooms/" + roomA + "/actions/" + create, "", ``},
		{"/v2/rooms/" + roomA + "/actions/create_access_token", "application/json; charset=utf-8", ` {"ttl_secs": null } `},
		{"/v2/rooms/" + roomA + "/actions/" + refresh, "application/json", `{"refresh_token":"` + token + `"}`},
		{"/v2/rooms/" + roomA + "/actions/" + refresh, "application/json", `[{"refresh_token":1}]`},
		{"/v2/telephony_credentials/" + credential + "/token", "", ``},
		{"/v2/evil", "text/plain", `x`},
	} {
		f.Add(seed.path, seed.contentType, seed.body)
	}
	f.Fuzz(func(t *testing.T, path, contentType, body string) {
		in := request{method: http.MethodPost, contentType: contentType, bearer: srv.APIKey, body: []byte(body)}
		in.route, in.Room = parsePath(path)
		in.Endpoint = in.route.endpoint
		out := srv.answer(in, epoch, Fault{})
		if out.status != http.StatusCreated {
			a := answer{text: out.text}
			if code := a.code(); out.status < 400 || out.status > 422 || code == "object " {
				t.Errorf("status %d, %s: %s", out.status, code, out.text)
			}
			return
		}
		if in.Endpoint == CredentialToken {
			if err := srv.issuer.check(out.text, credentialToken, in.Room, epoch); err != nil {
				t.Error(err)
			}
			return
		}
		var data struct{ Data map[string]string }
		if err := json.Unmarshal([]byte(out.text), &data); err != nil {
			t.Fatal(err)
		}
		if err := srv.issuer.check(data.Data[in.route.token], clientToken, in.Room, epoch); err != nil {
			t.Error(err)
		}
		expires, err := time.Parse(time.RFC3339, data.Data[in.route.expiresAt])
		if life := expires.Sub(epoch.Truncate(time.Second)); err != nil || life < 10*time.Second || life > time.Hour {
			t.Errorf("the token lives for %v, %v", life, err)
		}
	})
}
