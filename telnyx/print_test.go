package telnyx

import (
	"bytes"
	"context"
	"encoding/json"
	"encoding/xml"
	"fmt"
	"log/slog"
	"strings"
	"testing"
)

// printed returns value in every form in which a program may print it, except with the
// verbs %p and %w: fmt calls no methods for them, and go vet reports them for a Config.
func printed(t *testing.T, value any) map[string]string {
	t.Helper()
	texts := map[string]string{}
	for verb := range strings.SplitSeq("%v %+v %#v %s %q %x %X % x %d %t %T %c %U %e %b %o %10v %-40s %.3s", " ") {
		texts[verb] = fmt.Sprintf(verb, value)
	}
	texts["Sprint of a slice"] = fmt.Sprint([]any{value})
	texts["%+v of a field"] = fmt.Sprintf("%+v", struct{ Field any }{value})
	texts["%#v of an unexported field"] = fmt.Sprintf("%#v", struct{ field *any }{&value})

	var b bytes.Buffer
	slog.New(slog.NewTextHandler(&b, nil)).Info("x", "value", value, slog.Group("g", "value", value))
	slog.New(slog.NewJSONHandler(&b, nil)).Info("x", "value", value)
	texts["slog"] = b.String()

	encoded, err := json.Marshal(map[string]any{"value": value})
	if err != nil {
		t.Fatal(err)
	}
	texts["JSON"] = string(encoded)
	if encoded, err = xml.Marshal(value); err == nil {
		texts["XML"] = string(encoded)
	}
	return texts
}

func TestKeyIsNotPrinted(t *testing.T) {
	clearEnv(t)
	config := Config{APIKey: testKey, BaseURL: "https://api.example"}
	source := newSource(t, config)
	for name, value := range map[string]any{"Config": config, "*Config": &config, "*Source": source, "Source": *source} {
		for form, text := range printed(t, value) {
			mustNotLeak(t, text)
			for _, code := range []string{"%x", "%X"} {
				mustNotLeak(t, text, fmt.Sprintf(code, testKey))
			}
			if testing.Verbose() {
				t.Logf("%s as %s: %s", name, form, text)
			}
		}
	}
	for _, verb := range []string{"%p", "%w"} {
		mustNotLeak(t, fmt.Sprintf(verb, source))
		mustNotLeak(t, fmt.Sprintf(verb, *source))
	}
	if text := fmt.Sprintf("%#v", config); !strings.Contains(text, redacted) || !strings.Contains(text, "https://api.example") {
		t.Errorf("a Config prints as %s", text)
	}
	if text := fmt.Sprintf("%+v", source); !strings.Contains(text, "https://api.example") {
		t.Errorf("a Source prints as %s", text)
	}
}

func TestPasswordInBaseURLIsNotPrinted(t *testing.T) {
	for _, base := range []string{"https://user:hunter2@host", "https://hunter2@host", "https://host?hunter2", "https://host#hunter2", "https://u:hunter2 @host"} {
		if text := fmt.Sprint(Config{BaseURL: base}); strings.Contains(text, "hunter2") {
			t.Errorf("%s prints as %s", base, text)
		}
	}
}

func TestPlainHTTPIsPrinted(t *testing.T) {
	for _, allowed := range []bool{false, true} {
		if text := fmt.Sprint(Config{AllowPlainHTTP: allowed}); strings.Contains(text, "AllowPlainHTTP: true") != allowed {
			t.Errorf("with AllowPlainHTTP %v, a Config prints as %s", allowed, text)
		}
	}
}

func TestPrintingWithoutAKey(t *testing.T) {
	if text := fmt.Sprint(Config{}); !strings.Contains(text, "APIKey: none") {
		t.Errorf("the zero Config prints as %s", text)
	}
	keyFunc := func(context.Context) (string, error) { return testKey, nil }
	if text := fmt.Sprint(Config{APIKeyFunc: keyFunc}); !strings.Contains(text, "APIKeyFunc") {
		t.Errorf("a Config with APIKeyFunc prints as %s", text)
	}
	var none *Source
	if text := fmt.Sprint(none); text != "telnyx.Source(nil)" {
		t.Errorf("a nil Source prints as %s", text)
	}
}
