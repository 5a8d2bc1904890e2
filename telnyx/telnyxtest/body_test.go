package telnyxtest

import "testing"

func TestKnownError(t *testing.T) {
	for code, text := range texts {
		if e := KnownError(code); e.Code != code || e.Title != text.title || e.Detail == "" {
			t.Errorf("%+v", e)
		}
	}
	for status, code := range codes {
		if _, ok := texts[code]; !ok {
			t.Errorf("code %s of status %d has no text", code, status)
		}
	}
	if e := KnownError("20013"); e.Code != "20013" || e.Title != "" {
		t.Errorf("%+v", e)
	}
}

func TestJSONBodyPanics(t *testing.T) {
	defer func() {
		if recover() == nil {
			t.Error("JSONBody did not panic for a channel")
		}
	}()
	JSONBody(make(chan int))
}
