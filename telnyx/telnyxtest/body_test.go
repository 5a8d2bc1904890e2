package telnyxtest

import (
	"testing"
)

func TestKnownError(t *testing.T) {
	for code, text := range texts {
		if e := KnownError(code); e.Code != code || e.Title != text.title || e.Detail == "" {
			t.Errorf("%+v", e)
		}
	}
	for status, code := range codes {
		if _, ok := texts[code]; !ok {
			t.Errorf("status %d has the code %s, which has no text", status, code)
		}
	}
	if e := KnownError("20013"); e.Code != "20013" || e.Title != "" {
		t.Errorf("%+v", e)
	}
}

func TestJSONBodyPanics(t *testing.T) {
	defer func() {
		if recover() == nil {
			t.Error("a channel was written as JSON")
		}
	}()
	JSONBody(make(chan int))
}
