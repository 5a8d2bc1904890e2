package tokenpack

import (
	"bytes"
	"encoding/base64"
	"strings"
	"testing"
)

// FuzzRoundTrip packs a token as it comes, and one that is made from the JSON in it, each
// after others that make their template.
func FuzzRoundTrip(f *testing.F) {
	for _, test := range kinds {
		token := test.tokens().mint()
		text, signature := jsonOf(token)
		header, claims, _ := bytes.Cut(text, []byte{0})
		f.Add(token, header, claims, signature)
	}
	f.Add("", []byte("{}"), []byte("{"+long+"}"), []byte("\x00\xff"))
	f.Add("a.b.c", []byte(`{"alg":"none"}`), []byte(kindOf(1)), []byte{})
	f.Add("....", []byte("\x00"), []byte("0123456789012345678901234567890123456789,"), []byte{1})
	f.Add(signed("\x03", 'a')+"\n", []byte{}, []byte("00000000-0000-0000-0000-000000000000,"), bytes.Repeat([]byte{1}, 2000))
	f.Fuzz(func(t *testing.T, text string, header, claims, signature []byte) {
		enc := base64.RawURLEncoding
		unsigned := enc.EncodeToString(header) + "." + enc.EncodeToString(claims) + "."
		if i := strings.LastIndexByte(text, '.'); i >= 0 {
			roundTrip(t, text, text[:i+1]+"AAAA")
		}
		roundTrip(t, unsigned+enc.EncodeToString(signature), unsigned+enc.EncodeToString(append(signature, 1)))
	})
}

func roundTrip(t *testing.T, token, similar string) {
	t.Helper()
	c := New()
	c.Pack(similar)
	if got := c.Unpack(c.Pack(token)); got != token {
		t.Errorf("Unpack(Pack(%q)) = %q", token, got)
	}
	packed, ok := c.pack(token)
	if !ok {
		if packed != "" {
			t.Errorf("not packed, and yet %q", packed)
		}
		return
	}
	if got := c.Unpack(packed); got != token {
		t.Errorf("unpacked: %q, want %q", got, token)
	}
	if len(packed) > len(token)*3/4 || len(token) > maxToken {
		t.Errorf("%d bytes are packed into %d", len(token), len(packed))
	}
	if strings.Contains(texts(c), strings.Split(token, ".")[2]) && len(token)-strings.LastIndexByte(token, '.') > 20 {
		t.Errorf("the signature is in a template: %q", c.templates)
	}
}

// FuzzUnpack unpacks what nobody has packed.
func FuzzUnpack(f *testing.F) {
	c := New()
	for _, test := range kinds {
		source := test.tokens()
		for range 2 {
			if packed, ok := c.pack(source.mint()); ok {
				f.Add(packed)
			}
		}
	}
	f.Add("")
	f.Add("\x00")
	f.Add("\x03")
	f.Fuzz(func(t *testing.T, packed string) {
		token := c.Unpack(packed)
		if most := (maxToken + 2*len(packed)) * 4; len(token) > most { // nothing grows without bound
			t.Errorf("%d bytes are unpacked into %d", len(packed), len(token))
		}
		if packed != "" && packed[0] < plain && strings.Trim(token, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.") != "" {
			t.Errorf("unpacked: %q, want base64 and dots", token)
		}
	})
}
