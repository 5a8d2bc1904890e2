package telnyxtest

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/benbjohnson/clock"
)

// Which faults apply to which calls. Each call is an endpoint and a room, or "+3s" to move
// the clock. Each outcome is a status, 201 if no fault applied.
func TestFaultSelection(t *testing.T) {
	for _, tt := range []struct {
		name   string
		faults []Fault
		calls  string
		want   string
	}{
		{"no fault", nil, "create A, refresh A", "201, 201"},
		{"until removed", []Fault{{Status: 503}}, "create A, +240h, refresh B", "503, 503"},
		{"once", []Fault{{Status: 503, Times: 1}}, "create A, create A", "503, 201"},
		{"n times", []Fault{{Status: 503, Times: 2}}, "create A, refresh B, create A", "503, 503, 201"},
		{"for a while", []Fault{{Status: 503, For: 6 * time.Second}}, "create A, +5s, create A, +1s, create A", "503, 503, 201"},
		{"Times ends before For", []Fault{{Status: 503, Times: 1, For: time.Hour}}, "create A, create A", "503, 201"},
		{"For ends before Times", []Fault{{Status: 503, Times: 9, For: time.Second}}, "create A, +1s, create A", "503, 201"},
		{"on create", []Fault{{Status: 503, On: Create}}, "create A, refresh A", "503, 201"},
		{"on refresh", []Fault{{Status: 503, On: Refresh}}, "create A, refresh A", "201, 503"},
		{"on any", []Fault{{Status: 503, On: Any}}, "create A, refresh A", "503, 503"},
		{"on a room", []Fault{{Status: 503, Room: strings.ToUpper(roomA)}}, "create A, create B", "503, 201"},
		{
			"other calls do not count",
			[]Fault{{Status: 503, On: Refresh, Room: roomA, Times: 1}},
			"create A, refresh B, refresh A, refresh A", "201, 201, 503, 201",
		},
		{"in order", []Fault{{Status: 503, Times: 1}, {Status: 429, Times: 2}}, "create A, create A, create A, create A", "503, 429, 429, 201"},
		{"the first of two", []Fault{{Status: 503}, {Status: 429}}, "create A, create A", "503, 503"},
		{
			"a selective one after a general one",
			[]Fault{{Status: 503, Times: 1}, {Status: 429, Room: roomB, Times: 1}},
			"create B, create A, create B", "503, 201, 429",
		},
		{"headers combine", []Fault{{Header: http.Header{"X": {"y"}}, Times: 1}, {Status: 503, Times: 1}}, "create A, create A", "503, 201"},
		{"an outage", []Fault{Outage(6 * time.Second)}, "create A, +6s, create A", "503, 201"},
		{"a rate limit", []Fault{RateLimited(6 * time.Second)}, "create A, +6s, create A", "429, 201"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			mock := clock.NewMock()
			mock.Set(epoch)
			srv := &Server{clock: mock}
			for _, f := range tt.faults {
				srv.Inject(f)
			}
			var got []string
			for call := range strings.SplitSeq(tt.calls, ", ") {
				if wait, ok := strings.CutPrefix(call, "+"); ok {
					d, _ := time.ParseDuration(wait)
					mock.Add(d)
					continue
				}
				endpoint, name, _ := strings.Cut(call, " ")
				p := srv.faults.plan(map[string]Endpoint{"create": Create, "refresh": Refresh}[endpoint],
					map[string]string{"A": roomA, "B": roomB}[name], mock.Now())
				got = append(got, fmt.Sprint(max(p.fault.Status, 201)))
			}
			if strings.Join(got, ", ") != tt.want {
				t.Errorf("got %v, want %s", got, tt.want)
			}
		})
	}
}

func TestFaultsDoNotApplyToOtherPaths(t *testing.T) {
	srv := Start(t, Config{})
	srv.Inject(Fault{Status: 503})
	if got := post(t, srv, roomA, "nothing", `{}`); got.status != 404 {
		t.Errorf("status %d, want 404", got.status)
	}
}

func TestRemove(t *testing.T) {
	srv := Start(t, Config{})
	removeFirst := srv.Inject(Fault{Status: 503})
	srv.Inject(Fault{Status: 500})
	removeFirst()
	removeFirst()
	if got := post(t, srv, roomA, create, `{}`); got.status != 500 {
		t.Errorf("status %d, want 500: the other fault remains", got.status)
	}
}

func TestInjectPanicsOnInvalidFaults(t *testing.T) {
	srv := Start(t, Config{})
	for _, f := range []Fault{
		{},
		{On: Create, Room: roomA, Times: 1, For: time.Second},
		{On: 8, Status: 503},
		{On: CredentialToken, Edit: func(map[string]any) {}},
		{On: CredentialToken, Edit: func(map[string]any) {}, Status: 503},
		{Status: 503, Times: -1},
		{Status: 503, For: -1},
		{Latency: -1},
		{Status: 100},
		{Status: 600},
		{Body: HTMLBody},
		{Body: HTMLBody, Latency: time.Second},
	} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("Inject accepted %+v", f)
				}
			}()
			srv.Inject(f)
		}()
	}
}

// Latency and headers combine with another fault, whichever was injected first.
func TestLatencyAndHeadersCombine(t *testing.T) {
	srv, mock := startMock(t, Config{})
	srv.Inject(Fault{Header: http.Header{"First": {"1"}}})
	srv.Inject(Fault{Status: 503})
	srv.Inject(Fault{Header: http.Header{"Last": {"2"}}, Latency: time.Second})
	done := background(t.Context(), srv, roomA, create, `{}`)
	waitHeld(t, srv, 1)
	mock.Add(time.Second)
	if got := <-done; got.status != 503 || got.header.Get("First") != "1" || got.header.Get("Last") != "2" {
		t.Errorf("got %d, %v", got.status, got.header)
	}
}

func TestEndpointString(t *testing.T) {
	for e, want := range map[Endpoint]string{
		0: "other", Create: "create", Refresh: "refresh", CredentialToken: "credential token",
		Create | Refresh: "create|refresh", Refresh | CredentialToken: "refresh|credential token", Any: "any",
	} {
		if got := e.String(); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}
