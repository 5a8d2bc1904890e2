package roomtoken_test

import (
	"bytes"
	"encoding"
	"encoding/gob"
	"encoding/json"
	"encoding/xml"
	"fmt"
	"log/slog"
	"reflect"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/roomtoken/roomtoken"
)

const theSecret = "eyJhbGciOi.SECRET.Zm9v"

// wantHidden fails the test if text contains the secret in any encoding.
func wantHidden(t *testing.T, how, text string) {
	t.Helper()
	for _, guise := range []string{
		theSecret, fmt.Sprintf("%x", theSecret), fmt.Sprintf("%X", theSecret), fmt.Sprintf("% x", theSecret),
		fmt.Sprint([]byte(theSecret)), fmt.Sprintf("%#x", []byte(theSecret)), fmt.Sprintf("%U", []rune(theSecret)), "SECRET",
	} {
		if strings.Contains(text, guise) {
			t.Errorf("%s shows the secret: %s", how, text)
			return
		}
	}
}

func TestSecretUnderEveryVerb(t *testing.T) {
	s := roomtoken.NewSecret(theSecret)
	for c := rune('!'); c <= '~'; c++ {
		for _, flags := range []string{"", "+", "#", "-", " ", "0", "+#", "10", "-40", ".3", "30.10", "# ", "[1]"} {
			verb := "%" + flags + string(c)
			if strings.ContainsRune("+-# 0.123456789[]*%", c) {
				continue // a flag or not a verb
			}
			text := fmt.Sprintf(verb, s)
			wantHidden(t, verb, text)
			// For T, p, and w outside Errorf, fmt calls no method.
			if c != 'T' && c != 'p' && c != 'w' && text != "[redacted]" {
				t.Errorf("%s prints %q, want [redacted]", verb, text)
			}
			wantHidden(t, verb+" of a pointer", fmt.Sprintf(verb, &s))
		}
	}
	for how, text := range map[string]string{
		"Sprint":   fmt.Sprint(s),
		"Sprintln": strings.TrimSpace(fmt.Sprintln(s)),
		"String":   s.String(),
		"GoString": fmt.Sprintf("%#v", s),
		"Errorf":   fmt.Errorf("%v", s).Error(),
		"zero":     fmt.Sprint(roomtoken.Secret{}),
	} {
		if text != "[redacted]" {
			t.Errorf("%s = %q, want [redacted]", how, text)
		}
	}
}

// The holders contain a Secret where fmt can call its methods, and where it cannot.
type (
	exportedHolder   struct{ Secret roomtoken.Secret }
	unexportedHolder struct{ secret roomtoken.Secret }
	pointerHolder    struct{ secret *roomtoken.Secret }
	embeddingHolder  struct{ roomtoken.Secret }
	tokenHolder      struct{ token roomtoken.Token }
	sliceHolder      struct{ secrets []roomtoken.Secret }
	mapHolder        struct{ secrets map[string]roomtoken.Secret }
	anyHolder        struct{ secret any }
	arrayHolder      struct{ secrets [2]roomtoken.Secret }
	deepHolder       struct{ inner *unexportedHolder }
	namedSecret      roomtoken.Secret
	grantHolder      struct{ grant *roomtoken.Grant }
	chanHolder       struct{ secrets chan roomtoken.Secret }
	funcHolder       struct{ reveal func() string }
)

func holders() map[string]any {
	s := roomtoken.NewSecret(theSecret)
	tok := roomtoken.Token{Value: s, ExpiresAt: time.Unix(1, 0)}
	g := roomtoken.Grant{Token: tok, RefreshToken: tok}
	return map[string]any{
		"secret": s, "token": tok, "grant": g, "pointer to a grant": &g,
		"exported": exportedHolder{s}, "unexported": unexportedHolder{s}, "pointer": pointerHolder{&s}, "embedding": embeddingHolder{s},
		"a token": tokenHolder{tok}, "slice": sliceHolder{[]roomtoken.Secret{s}}, "map": mapHolder{map[string]roomtoken.Secret{"k": s}},
		"any": anyHolder{s}, "array": arrayHolder{[2]roomtoken.Secret{s, s}}, "deep": deepHolder{&unexportedHolder{s}},
		"named": namedSecret(s), "a grant": grantHolder{&g}, "chan": chanHolder{make(chan roomtoken.Secret)}, "func": funcHolder{s.Reveal},
		"anonymous": struct {
			A int
			s roomtoken.Secret
		}{1, s},
		"plain slice": []roomtoken.Secret{s}, "plain map": map[string]roomtoken.Token{"k": tok}, "reflect": reflect.ValueOf(s),
		"reflect holder": reflect.ValueOf(unexportedHolder{s}),
	}
}

func TestSecretInOtherStructs(t *testing.T) {
	for name, v := range holders() {
		for _, verb := range verbs {
			wantHidden(t, name+" "+verb, fmt.Sprintf(verb, v))
			wantHidden(t, "a pointer to "+name+" "+verb, fmt.Sprintf(verb, &v))
			wantHidden(t, "a slice of "+name+" "+verb, fmt.Sprintf(verb, []any{v}))
		}
	}
	for _, name := range []string{"secret", "token", "grant", "exported", "plain slice", "plain map"} {
		if text := fmt.Sprintf("%+v", holders()[name]); !strings.Contains(text, "[redacted]") {
			t.Errorf("%s prints %s, want [redacted] in it", name, text)
		}
	}
}

func TestSecretUnderEncoders(t *testing.T) {
	for name, v := range holders() {
		if text, err := json.Marshal(v); err == nil {
			wantHidden(t, "JSON of "+name, string(text))
		}
		if text, err := xml.Marshal(v); err == nil {
			wantHidden(t, "XML of "+name, string(text))
		}
		var out bytes.Buffer
		_ = gob.NewEncoder(&out).Encode(v)
		wantHidden(t, "gob of "+name, out.String())
		out.Reset()
		for _, h := range []slog.Handler{slog.NewTextHandler(&out, nil), slog.NewJSONHandler(&out, nil)} {
			log := slog.New(h).With("with", v)
			log.Info("m", "k", v, slog.Any("any", v), slog.Group("g", slog.Any("any", v)))
		}
		wantHidden(t, "slog of "+name, out.String())
		out.Reset()
	}
	s := roomtoken.NewSecret(theSecret)
	if text, err := json.Marshal(roomtoken.Token{Value: s}); err != nil || string(text) != `{"Value":"[redacted]","ExpiresAt":"0001-01-01T00:00:00Z"}` {
		t.Errorf("JSON = (%s, %v), want the value redacted", text, err)
	}
	if text, err := json.Marshal(map[string]any{"s": s, "p": &s, "z": roomtoken.Secret{}}); err != nil || string(text) != `{"p":"[redacted]","s":"[redacted]","z":"[redacted]"}` {
		t.Errorf("JSON = (%s, %v), want the values redacted", text, err)
	}
	if text, err := xml.Marshal(exportedHolder{s}); err != nil || string(text) != `<exportedHolder><Secret>[redacted]</Secret></exportedHolder>` {
		t.Errorf("XML = (%s, %v), want the value redacted", text, err)
	}
	if text, err := s.MarshalText(); err != nil || string(text) != "[redacted]" {
		t.Errorf("MarshalText() = (%s, %v), want [redacted]", text, err)
	}
	if v := s.LogValue(); v.Kind() != slog.KindString || v.String() != "[redacted]" {
		t.Errorf("LogValue() = %v, want [redacted]", v)
	}
	var _ encoding.TextMarshaler = s
	var _ slog.LogValuer = s
	var _ fmt.Formatter = s
}

func TestSecretHoldsItsValue(t *testing.T) {
	for _, value := range []string{"", "x", theSecret, "[redacted]", "\x00", strings.Repeat("y", 100_000)} {
		s := roomtoken.NewSecret(value)
		if s.Reveal() != value {
			t.Errorf("Reveal() = %.20q, want %.20q", s.Reveal(), value)
		}
		if s.IsZero() != (value == "") || roomtoken.Token(struct {
			Value     roomtoken.Secret
			ExpiresAt time.Time
		}{s, time.Now()}).IsZero() != (value == "") {
			t.Errorf("IsZero() of %.20q = %v, want %v for the Secret and its Token", value, s.IsZero(), value == "")
		}
	}
	var zero roomtoken.Secret
	if !zero.IsZero() || zero.Reveal() != "" || zero.Fingerprint() != "" || !zero.Equal(roomtoken.NewSecret("")) {
		t.Errorf("zero Secret: IsZero() = %v, Reveal() = %q, Fingerprint() = %q, want true and empty", zero.IsZero(), zero.Reveal(), zero.Fingerprint())
	}
	if reflect.TypeFor[roomtoken.Secret]().Comparable() {
		t.Error("Secret is comparable with ==, want it not to be")
	}
}

func TestSecretEqual(t *testing.T) {
	values := []string{"", "a", "b", "aa", "ab", theSecret, theSecret + "x", theSecret[1:]}
	for i, a := range values {
		for j, b := range values {
			if got := roomtoken.NewSecret(a).Equal(roomtoken.NewSecret(strings.Clone(b))); got != (i == j) {
				t.Errorf("%q Equal %q = %v, want %v", a, b, got, i == j)
			}
		}
	}
}

func TestSecretFingerprint(t *testing.T) {
	// It is the same in every process and release, so that logs can be compared.
	if got, want := roomtoken.NewSecret("abc").Fingerprint(), "ba7816bf8f01"; got != want {
		t.Errorf("Fingerprint() = %s, want %s", got, want)
	}
	seen := map[string]string{}
	for i := range 10_000 {
		value := fmt.Sprint("token-", i)
		f := roomtoken.NewSecret(value).Fingerprint()
		if f != roomtoken.NewSecret(strings.Clone(value)).Fingerprint() {
			t.Fatalf("two fingerprints of %q differ, want them equal", value)
		}
		if other, ok := seen[f]; ok {
			t.Fatalf("%q and %q have the same fingerprint, want them to differ", value, other)
		}
		seen[f] = value
		if !regexp.MustCompile(`^[0-9a-f]{12}$`).MatchString(f) {
			t.Fatalf("Fingerprint() = %q, want 12 hexadecimal digits", f)
		}
	}
}
