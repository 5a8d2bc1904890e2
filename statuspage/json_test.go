package statuspage

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/roomtoken/roomtoken"
)

// fill sets every field of a struct to a value of its own that is not zero.
func fill(t *testing.T, s any) {
	t.Helper()
	v := reflect.ValueOf(s).Elem()
	for i := range v.NumField() {
		n := 1000 + i
		switch field := v.Field(i); field.Interface().(type) {
		case time.Time:
			field.Set(reflect.ValueOf(noon.Add(time.Duration(n) * time.Minute).In(time.FixedZone("", 3600))))
		case roomtoken.RoomState:
			field.Set(reflect.ValueOf(roomtoken.RoomFailing))
		case roomtoken.CallKind:
			field.Set(reflect.ValueOf(roomtoken.CallRefresh))
		case roomtoken.Histogram:
			field.Set(reflect.ValueOf(roomtoken.Histogram{Count: uint64(n)}))
		case [roomtoken.RoomStuck + 1]int:
			var counts [roomtoken.RoomStuck + 1]int
			for state := range counts[1:] {
				counts[1+state] = n + state
			}
			field.Set(reflect.ValueOf(counts))
		default:
			switch field.Kind() {
			case reflect.Int:
				field.SetInt(int64(n))
			case reflect.Uint64:
				field.SetUint(uint64(n))
			case reflect.String:
				field.SetString(fmt.Sprint("text ", n))
			case reflect.Bool:
				field.SetBool(true)
			case reflect.Interface: // an error that is nil
				field.Set(reflect.ValueOf(fmt.Errorf("error %d", n)))
			default:
				t.Fatalf("no value for %s", v.Type().Field(i).Name)
			}
		}
	}
}

// marshaled returns a value's JSON, decoded.
func marshaled(t *testing.T, v any) object {
	t.Helper()
	text, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return decode(t, text)
}

// stats has the fields of Stats with the names and values that the root package gives
// them, but the histograms: also the ones that Stats gains tomorrow.
func TestJSONHasAllFieldsOfStats(t *testing.T) {
	var stats roomtoken.Stats
	fill(t, &stats)
	want := marshaled(t, stats)
	fields := reflect.TypeFor[roomtoken.Stats]()
	if len(want) != fields.NumField() {
		t.Fatalf("the root package shows %d fields of Stats", len(want))
	}
	for i := range fields.NumField() {
		if field := fields.Field(i); field.Type == reflect.TypeFor[roomtoken.Histogram]() {
			maps.DeleteFunc(want, func(name string, _ any) bool {
				return strings.ReplaceAll(name, "_", "") == strings.ToLower(field.Name)
			})
		}
	}
	if got := marshaled(t, newStatsJSON(&stats)); !reflect.DeepEqual(got, want) {
		t.Errorf("stats = %v\nwant %v", got, want)
	}

	got := marshaled(t, newStatsJSON(&roomtoken.Stats{}))
	for _, name := range []string{"held_until", "last_error_at", "last_success_at"} {
		if value, ok := got[name]; value != nil || !ok {
			t.Errorf("%s = %v where there is none, want null", name, value)
		}
	}
	if got["last_error"] != "" || len(got) != len(want) {
		t.Errorf("empty stats: %v", got)
	}
}

// rooms have the fields of RoomStatus with the names and values that the root package
// gives them, and left_ms.
func TestJSONHasAllFieldsOfRoomStatus(t *testing.T) {
	var status roomtoken.RoomStatus
	fill(t, &status)
	want := marshaled(t, status)
	if len(want) != reflect.TypeFor[roomtoken.RoomStatus]().NumField() {
		t.Fatalf("the root package shows %d fields of RoomStatus", len(want))
	}
	want["left_ms"] = 2500.0
	if got := marshaled(t, newRoomJSON(&status, status.ExpiresAt.UTC().Add(-2500*time.Millisecond))); !reflect.DeepEqual(got, want) {
		t.Errorf("room = %v\nwant %v", got, want)
	}

	got := marshaled(t, newRoomJSON(&roomtoken.RoomStatus{State: roomtoken.RoomEmpty}, noon))
	if len(got) != len(want) {
		t.Errorf("empty room: %v", got)
	}
	for name, value := range got {
		switch {
		case strings.HasSuffix(name, "_at") || name == "failing_since" || name == "last_used":
			if value != nil {
				t.Errorf("%s = %v where there is none, want null", name, value)
			}
		case name == "state":
		default:
			if value != "" && value != 0.0 && value != false {
				t.Errorf("%s = %v where there is none", name, value)
			}
		}
	}
}

// The document has the members that are promised, and no others.
func TestJSONDocument(t *testing.T) {
	within(t, Config{Title: "eu-1"}, func(t *testing.T, w *world) {
		w.ask("a", "b", "c")
		w.src.Fail(errDown, -1)
		w.ask("d")
		w.pass(90 * time.Second)
		now := time.Now().UTC()
		doc := w.document("per=3&page=2&sort=room")
		if names := slices.Sorted(maps.Keys(doc)); strings.Join(names, " ") != "generated_at history matching page pages rooms states stats title total" {
			t.Errorf("members: %v", names)
		}
		for name, want := range map[string]any{
			"generated_at": now.Format(time.RFC3339Nano), "title": "eu-1", "total": 4.0, "matching": 4.0, "page": 2.0, "pages": 2.0,
			"states": object{"empty": 0.0, "valid": 3.0, "retrying": 0.0, "idle": 0.0, "failing": 1.0, "failed": 0.0, "stuck": 0.0},
		} {
			if !reflect.DeepEqual(doc[name], want) {
				t.Errorf("%s = %v, want %v", name, doc[name], want)
			}
		}
		if names := slices.Sorted(maps.Keys(objects(t, doc, "history")[0])); strings.Join(names, " ") !=
			"at call_p50_ms call_p99_ms create_failures creates held lapses misses refresh_failures refreshes rooms states wait_p99_ms" {
			t.Errorf("members of a sample: %v", names)
		}
		stats := doc["stats"].(object)
		if stats["creates"].(float64) < 4 || stats["last_error"] != errDown.Error() || !reflect.DeepEqual(stats["states"], doc["states"]) {
			t.Errorf("stats = %v", stats)
		}

		failing := objects(t, doc, "rooms")
		if len(failing) != 1 || failing[0]["room_id"] != "d" || failing[0]["state"] != "failing" || failing[0]["last_error"] != errDown.Error() ||
			failing[0]["left_ms"] != 0.0 || failing[0]["expires_at"] != nil || failing[0]["last_failure"] != "create" || failing[0]["fingerprint"] != "" {
			t.Errorf("rooms of page 2: %v", failing)
		}
		for _, room := range objects(t, w.document("state=valid"), "rooms") {
			status, _ := w.m.Room(room["room_id"].(string))
			expires, err := time.Parse(time.RFC3339Nano, room["expires_at"].(string))
			if err != nil || !expires.Equal(status.ExpiresAt) || room["left_ms"] != float64(expires.Sub(now).Milliseconds()) ||
				room["fingerprint"] != status.Fingerprint || status.Fingerprint == "" || room["next_call"] != "refresh" || room["in_flight"] != "" {
				t.Errorf("room = %v, want what Room says: %v", room, status)
			}
		}
	})
}

// Filters and pages count what they let through.
func TestJSONPages(t *testing.T) {
	within(t, Config{}, func(t *testing.T, w *world) {
		for i := range 25 {
			w.ask(fmt.Sprintf("r%02d", i))
		}
		for _, test := range []struct {
			params          string
			ids             string
			matching, pages float64
		}{
			{"per=4&page=7", "r24", 25, 7},
			{"per=4&page=8", "", 25, 7},
			{"page=123456789", "", 25, 1},
			{"q=R1&per=3&page=2", "r13 r14 r15", 10, 4},
			{"q=nothing", "", 0, 0},
			{"state=trouble", "", 0, 0},
			{"state=valid&q=r2&sort=room", "r20 r21 r22 r23 r24", 5, 1},
		} {
			doc := w.document(test.params)
			if ids := w.ids(test.params); ids != test.ids || doc["matching"] != test.matching || doc["pages"] != test.pages || doc["total"] != 25.0 {
				t.Errorf("?%s: %s, %v of %v, %v pages; want %s, %v of 25, %v", test.params, ids, doc["matching"], doc["total"], doc["pages"], test.ids, test.matching, test.pages)
			}
			if _, ok := doc["rooms"].([]any); !ok {
				t.Errorf("?%s: rooms = %v, want an array", test.params, doc["rooms"])
			}
		}
	})
}

// A room that is gone when its page is made is left out.
func TestRoomThatIsGone(t *testing.T) {
	within(t, Config{}, func(t *testing.T, w *world) {
		w.ask("a", "b", "c")
		rooms := w.page.walker.rooms
		w.page.walker.rooms = func(yield func(*roomtoken.RoomStatus) bool) {
			rooms(yield)
			w.m.Forget("b")
		}
		if ids := w.ids("sort=room"); ids != "a c" {
			t.Errorf("rooms %s, want a c", ids)
		}
	})
}

// IDs and texts come through as they are, but what is no UTF-8; errors are cut.
func TestJSONOfHostileTexts(t *testing.T) {
	for _, text := range hostile {
		status := roomtoken.RoomStatus{RoomID: text, State: roomtoken.RoomFailing, LastError: errors.New(text)}
		if got := marshaled(t, newRoomJSON(&status, noon)); utf8.ValidString(text) && got["room_id"] != text {
			t.Errorf("room_id = %q, want %q", got["room_id"], text)
		}
		text, err := json.Marshal(newRoomJSON(&status, noon))
		if err != nil || bytes.ContainsAny(text, "<>&\u2028\u2029\n\x00") {
			t.Errorf("JSON = %s, %v; want it escaped", text, err)
		}
	}
	status := roomtoken.RoomStatus{State: roomtoken.RoomFailing, LastError: errors.New(strings.Repeat("x", 5000))}
	stats := roomtoken.Stats{LastError: status.LastError}
	for _, got := range []object{marshaled(t, newRoomJSON(&status, noon)), marshaled(t, newStatsJSON(&stats))} {
		if got["last_error"] != strings.Repeat("x", 300) {
			t.Errorf("last_error = %q, want the first 300 bytes", got["last_error"])
		}
	}
}

// Times of any year, which encoding/json would refuse.
func TestJSONOfAnyYear(t *testing.T) {
	for _, at := range []time.Time{time.Unix(1<<40, 0), time.Unix(-1<<40, 0), time.Date(9999, 12, 31, 23, 59, 59, 999999999, time.UTC)} {
		status := roomtoken.RoomStatus{State: roomtoken.RoomValid, IssuedAt: at, ExpiresAt: at, NextCallAt: at, LastUsed: at, FailingSince: at, Failures: 1}
		got := marshaled(t, newRoomJSON(&status, noon))
		if got["expires_at"] != at.UTC().Format(time.RFC3339Nano) || got["left_ms"].(float64) < 0 {
			t.Errorf("room = %v", got)
		}
		v := &view{query: query{selector: selector{page: 1, per: 100, sort: "worst"}}, rooms: []roomtoken.RoomStatus{status}, now: noon, every: defaultEvery}
		for _, format := range formats {
			if _, err := v.render(format); err != nil {
				t.Errorf("%s with %v: %v", format, at, err)
			}
		}
	}
}

func TestMillis(t *testing.T) {
	for d, want := range map[time.Duration]string{0: "0", time.Millisecond: "1", 2500 * time.Microsecond: "2.5", 15 * time.Minute: "900000"} {
		if got, err := json.Marshal(millis(d)); err != nil || string(got) != want {
			t.Errorf("millis of %v = %s, %v; want %s", d, got, err, want)
		}
	}
}
