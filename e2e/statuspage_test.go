package e2e_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/chromedp/chromedp/kb"

	"github.com/roomtoken/roomtoken"
	"github.com/roomtoken/roomtoken/roomtokentest"
	"github.com/roomtoken/roomtoken/statuspage"
)

// hostileRooms are room IDs of somebody who wants to take over the status page, or to make
// it unreadable.
var hostileRooms = []string{
	`<script>document.title = "taken over"</script>`,
	`"><img src=x onerror="document.title = 'taken over'">`,
	`</title></style></table><h1>taken over</h1>`,
	`javascript:document.title='taken over'`,
	`{{.Title}}${1+1}%00%s`,
	"\u202egnihtyreve esrever\u202c",
	"zero\u200bwidth\ufeff, e\u0301\u0302\u0303\u0304\u0305\u0306\u0307",
	strings.Repeat("long", 250),
	strings.Repeat("many words ", 90),
	"会議室 غرفة 🎥",
}

// anHourIn returns how the status page answers after an hour of 300 rooms, with an outage, a
// rate limit, and rooms in every state. The hour passes in a bubble.
func anHourIn(t *testing.T) (answer *httptest.ResponseRecorder) {
	synctest.Test(t, func(t *testing.T) {
		time.Sleep(time.Until(time.Date(2026, 7, 1, 2, 0, 0, 0, time.UTC)))
		begin := time.Now()
		source := &roomtokentest.Source{}
		source.CreateFunc = func(ctx context.Context, room string) (roomtoken.Grant, error) {
			return trouble(ctx, source, room, time.Since(begin))
		}
		source.RefreshFunc = func(ctx context.Context, room string, _ roomtoken.Token) (roomtoken.Grant, error) {
			return trouble(ctx, source, room, time.Since(begin))
		}
		manager, err := roomtoken.NewManager(source, roomtoken.Config{})
		if err != nil {
			t.Fatal(err)
		}
		defer manager.Close()
		status, err := statuspage.New(manager, statuspage.Config{Authorize: statuspage.Anyone, Title: "Rooms of eu-1"})
		if err != nil {
			t.Fatal(err)
		}
		defer status.Close()

		ctx, cancel := context.WithCancel(t.Context())
		var callers sync.WaitGroup
		for n := range 300 {
			callers.Go(func() {
				opens := time.Duration(rand.N(20*60)) * time.Second
				if n%5 == 0 {
					opens = time.Duration(rand.N(60)) * time.Second
				}
				time.Sleep(opens)
				room := fmt.Sprintf("%08x-4df3-4bca-a65a-3da1ecc777f0", uint32(n)*2654435761)
				for ctx.Err() == nil && (n%10 != 0 || time.Since(begin) < 40*time.Minute) { // some rooms are left
					call, done := context.WithTimeout(ctx, 5*time.Second)
					_, _ = manager.Token(call, room)
					done()
					time.Sleep(10*time.Second + rand.N(20*time.Second))
				}
			})
		}
		time.Sleep(time.Hour - 30*time.Second)
		for _, room := range slices.Concat(hostileRooms, []string{"hangs", "empty"}) {
			callers.Go(func() {
				call, done := context.WithTimeout(ctx, time.Minute)
				defer done()
				_, _ = manager.Token(call, room)
			})
		}
		time.Sleep(30 * time.Second)
		answer = httptest.NewRecorder()
		request := httptest.NewRequest(http.MethodGet, "/status?per=20", http.NoBody)
		request.Header.Set("Accept", "text/html")
		status.ServeHTTP(answer, request)
		cancel()
		callers.Wait()
		manager.Close()
		time.Sleep(2 * time.Hour) // until the call that hangs has ended
	})
	return answer
}

// trouble is what happens to a call at that time of the hour.
func trouble(ctx context.Context, source *roomtokentest.Source, room string, at time.Duration) (roomtoken.Grant, error) {
	latency := 60*time.Millisecond + time.Duration(rand.ExpFloat64()*float64(50*time.Millisecond))
	grant := source.Mint(room)
	var err error
	switch minute := int(at / time.Minute); {
	case room == "hangs":
		<-ctx.Done()
		<-time.After(time.Hour) // whatever its ctx says
	case room == "empty":
		latency = time.Hour
	case slices.Contains(hostileRooms, room):
		err = fmt.Errorf("%w: the source knows no <b>%s</b>\n</td></table>\x1b[2J", roomtoken.ErrRoomNotFound, room)
	case minute >= 26 && minute < 29:
		latency = time.Second + rand.N(2*time.Second)
	case minute >= 29 && minute < 34:
		err = errors.New("503 Service Unavailable: upstream connect error")
	case minute == 48:
		err = roomtoken.RetryAfter(roomtoken.ErrRateLimited, 90*time.Second)
	case at > 59*time.Minute && rand.N(4) == 0:
		err = errors.New("502 Bad Gateway")
	}
	select {
	case <-time.After(latency):
		return grant, err
	case <-ctx.Done():
		return roomtoken.Grant{}, ctx.Err()
	}
}

// The status page after an hour, with rooms in trouble and hostile room IDs and errors.
func TestStatusPageLooks(t *testing.T) {
	t.Parallel()
	answer := anHourIn(t)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		maps.Copy(w.Header(), answer.Header())
		_, _ = w.Write(answer.Body.Bytes())
	}))
	defer server.Close()
	b := newTab(t)
	b.open(server.URL)
	b.do("window.stop()") // or it would load itself again meanwhile
	b.look("status")
	b.harmless("Rooms of eu-1")
}

// harmless checks that the rooms of the status page are there, and are nothing but text.
func (b *tab) harmless(title string) {
	b.t.Helper()
	if got := eval[string](b, "document.title"); !strings.HasSuffix(got, title) {
		b.t.Errorf("the title is %q", got)
	}
	if n := eval[int](b, `document.querySelectorAll("script, img, iframe, object, embed, link, base, [style], [onerror], h1 ~ h1").length`); n != 0 {
		b.t.Errorf("%d elements that should not be there", n)
	}
	shown := eval[[]string](b, `Array.from(document.querySelectorAll("th.room bdi"), (e) => e.textContent)`)
	for _, room := range hostileRooms {
		if strings.ContainsAny(room, "\u200b\u202e") { // they show escaped
			continue
		}
		if !slices.ContainsFunc(shown, func(s string) bool { return strings.TrimSpace(s) == strings.TrimSpace(room) }) {
			b.t.Errorf("the page does not show the room %q", room)
		}
	}
	if all := strings.Join(shown, "\n"); strings.ContainsAny(all, "\u200b\u202e\ufeff") {
		b.t.Error("a room ID reorders or hides text")
	}
}

// The status page of a server at work: it is reached from the page, shows hostile room IDs,
// finds rooms by keyboard, and loads itself again.
func TestStatusPageAtWork(t *testing.T) {
	t.Parallel()
	s := startJoinserver(t, nil)
	for _, room := range hostileRooms {
		response, err := http.Get(s.url + "/api/rooms/" + url.PathEscape(room) + "/token")
		if err != nil {
			t.Fatal(err)
		}
		response.Body.Close()
		if response.StatusCode != http.StatusNotFound {
			t.Errorf("%.40q: %s", room, response.Status)
		}
	}
	p := openJoinPage(newTab(t), s)
	p.join(roomA)
	p.open(eval[string](p.tab, `Array.from(document.links).find((a) => a.textContent === "Status page").href`))
	p.harmless("Rooms of joinserver")
	p.click(`header a[href*="refresh=0"]`) // pause
	p.wait(`document.querySelector("header").textContent.includes("paused")`)
	p.look("status-hostile")

	p.do(`document.querySelector("[name=q]").focus()`)
	p.press("<SCRIPT" + kb.Enter)
	p.wait(`document.querySelectorAll("th.room").length === 1`)
	if got := eval[string](p.tab, `document.querySelector("[name=q]").value + document.querySelector("th.room bdi").textContent`); got != "<SCRIPT"+hostileRooms[0] {
		t.Errorf("the search shows %q", got)
	}
	p.open(s.url + "/status?refresh=1&q=0ccc")
	p.do("globalThis.before = true")
	p.wait("!globalThis.before && document.querySelectorAll('th.room').length === 1")
}
