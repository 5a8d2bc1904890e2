package e2e_test

import (
	"fmt"
	"net/http"
	"slices"
	"syscall"
	"testing"
	"time"

	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/chromedp/kb"

	"github.com/roomtoken/roomtoken/telnyx/telnyxtest"
)

const (
	// The rooms on the page.
	roomA = "0ccc7b54-4df3-4bca-a65a-3da1ecc777f0"
	roomB = "9e2a0cbe-ce66-411e-a1ac-468f0b103c9a"
	roomC = "c1d5b0a2-7f43-4e0e-8a6b-52f9d3c8e017"

	roomD = "5d1f3e0a-8f57-4c39-9b8e-0a4d6c2b7e11" // another one
)

// ttl is the lifetime of tokens in these tests, the shortest there is.
const ttl = 10 * time.Second

var shortLived = []string{"-ttl", ttl.String()}

// joinPage is a tab with the page of examples/joinserver.
type joinPage struct{ *tab }

// openJoinPage opens the page in a tab and waits until its script has run.
func openJoinPage(b *tab, s *joinserver) joinPage {
	b.t.Helper()
	b.open(s.url)
	b.wait(`document.querySelectorAll("#rooms button").length > 0`)
	// The history of each room: its states, and what was left of each token.
	b.do(`(() => {
		globalThis.states = {};
		globalThis.rests = {};
		new MutationObserver((changes) => {
			for (const { target, type } of changes) {
				const card = target.closest("#rooms li");
				if (!card) continue;
				const room = card.dataset.room;
				if (type === "attributes") (states[room] ??= []).push(card.dataset.state);
				else if (target.matches(".left")) (rests[room] ??= []).push(target.textContent);
			}
		}).observe(document.getElementById("rooms"), { subtree: true, childList: true, attributes: true, attributeFilter: ["data-state"] });
	})()`)
	return joinPage{b}
}

// card is the element of a room, as a CSS selector.
func card(room string) string { return fmt.Sprintf("#rooms [data-room=%q]", room) }

// join joins a room with a click, and waits until it is joined.
func (p joinPage) join(room string) {
	p.t.Helper()
	p.click(card(room) + " button")
	p.waitState(room, "in")
}

func (p joinPage) waitState(room, state string) {
	p.t.Helper()
	p.wait(fmt.Sprintf("document.querySelector('%s')?.dataset.state === %q", card(room), state))
}

// lines is how many lines of the log are about the room and have such a text, as a
// JavaScript expression.
func lines(room, text string) string {
	return fmt.Sprintf(`Array.from(document.querySelectorAll("#log p"), (p) => p.textContent).filter((t) => t.includes(%q) && t.includes(%q)).length`, room[:min(len(room), 8)], text)
}

// waitUpdates waits until the room has had that many further tokens.
func (p joinPage) waitUpdates(room string, n int) {
	p.t.Helper()
	p.wait(fmt.Sprintf("%s >= %d", lines(room, "updateClientToken"), n))
}

// fingerprint returns that of the token that the page shows for the room.
func (p joinPage) fingerprint(room string) string {
	p.t.Helper()
	return eval[string](p.tab, fmt.Sprintf("document.querySelector('%s code').textContent", card(room)))
}

// agree waits until the page and the status page show the same token for the room.
func (p joinPage) agree(s *joinserver, room string) {
	p.t.Helper()
	var here, there string
	if !eventually(p.t, func() bool {
		here, there = p.fingerprint(room), s.status().fingerprint(room)
		return here == there && len(here) == 12
	}) {
		p.t.Errorf("room %s: the page shows token %s, the status page %s", room, here, there)
	}
}

// states returns the states that the room has gone through.
func (p joinPage) states(room string) []string {
	p.t.Helper()
	return eval[[]string](p.tab, fmt.Sprintf("states[%q] ?? []", room))
}

// stayed checks that the participant of the room has never been disconnected.
func (p joinPage) stayed(room string) {
	p.t.Helper()
	if states := p.states(room); !slices.Equal(states, []string{"waiting", "in"}) {
		p.t.Errorf("room %s went through the states %q, want to wait and then to be in", room, states)
	}
}

func TestParticipantsStayAcrossAnExpiry(t *testing.T) {
	t.Parallel()
	s := startJoinserver(t, shortLived)
	p := openJoinPage(newTab(t), s)
	joined := time.Now()
	p.join(roomA)
	p.join(roomB)
	first := p.fingerprint(roomA)
	for _, room := range []string{roomA, roomB} {
		p.waitUpdates(room, 2)
		p.agree(s, room)
		p.stayed(room)
	}
	if time.Since(joined) < ttl || p.fingerprint(roomA) == first {
		t.Errorf("the token %s has not expired", first)
	}
	if got := s.status().Stats; got.Creates != 2 || got.Refreshes < 4 {
		t.Errorf("%+v; want 2 creates, one per room, and 4 refreshes", got)
	}

	// The countdown begins below the lifetime, goes down second by second, and begins anew.
	var before, anew int
	least := 10
	for _, rest := range eval[[]string](p.tab, fmt.Sprintf("rests[%q]", roomA)) {
		var left int
		if _, err := fmt.Sscanf(rest, "%d s left", &left); err != nil || left < 1 || left > 10 {
			t.Errorf("the countdown shows %q", rest)
		}
		if left > before {
			anew++
		}
		before, least = left, min(least, left)
	}
	t.Logf("a new token came when the old one had %d s left, or more", least)
	if anew != 3 {
		t.Errorf("the countdown began %d times, want 3", anew)
	}

	p.click(card(roomA) + " button")
	p.waitState(roomA, "out")
	p.wait(lines(roomA, "user_initiated") + " === 1")
}

// An outage that is longer than a token lives: the page says so, and comes back by itself.
func TestOutage(t *testing.T) {
	t.Parallel()
	s := startJoinserver(t, shortLived)
	p := openJoinPage(newTab(t), s)
	p.join(roomA)
	p.click(`[value="/faults/outage"]`)
	p.wait(lines("API", "Outage") + " === 1")
	p.waitState(roomA, "lost")
	p.wait(lines(roomA, "problem: unavailable") + " === 1")
	p.wait(fmt.Sprintf("document.querySelector('%s .problem').checkVisibility()", card(roomA)))
	p.look("join-outage")
	p.waitState(roomA, "in")
	p.wait(lines("API", "Outage is over") + " === 1")
	p.wait(fmt.Sprintf("!document.querySelector('%s .problem').checkVisibility()", card(roomA)))
	p.agree(s, roomA)
	if got := s.status().Stats; got.Creates+got.Refreshes < 2 || got.CreateFailures+got.RefreshFailures == 0 {
		t.Errorf("%+v; want failures, and a call that succeeded after them", got)
	}
}

func TestRevokedRefreshTokensGoUnnoticed(t *testing.T) {
	t.Parallel()
	s := startJoinserver(t, shortLived)
	p := openJoinPage(newTab(t), s)
	p.join(roomA)
	p.click(`[value="/faults/revoke"]`)
	p.wait(lines("API", "Revoke refresh tokens") + " === 1")
	p.waitUpdates(roomA, 1)
	p.agree(s, roomA)
	p.stayed(roomA)
	if got := s.status().Stats; got.Fallbacks != 1 || got.Creates != 2 {
		t.Errorf("%+v; want one refresh to fall back to a create", got)
	}
}

// During a rate limit a room that nobody has joined yet has to wait.
func TestRateLimit(t *testing.T) {
	t.Parallel()
	s := startJoinserver(t, shortLived)
	p := openJoinPage(newTab(t), s)
	p.join(roomA)
	p.click(`[value="/faults/limit"]`)
	p.wait(lines("API", "Rate limit") + " === 1")
	p.click(card(roomB) + " button")
	p.wait(lines(roomB, "problem: rate_limited") + " === 1")
	if !s.status().Stats.RateLimited {
		t.Error("the status page shows no rate limit")
	}
	p.waitState(roomB, "in")
	p.agree(s, roomB)
}

// The page survives a server that is stopped, and one that crashes. Tokens of the API that
// ended with the server are of no use, so new ones must come.
func TestServerRestart(t *testing.T) {
	t.Parallel()
	s := startJoinserver(t, shortLived)
	p := openJoinPage(newTab(t), s)
	p.expect("net::ERR_") // what the browser says of a server that is not there
	p.join(roomA)
	for restart, signal := range []syscall.Signal{syscall.SIGTERM, syscall.SIGKILL} {
		before := p.fingerprint(roomA)
		s.end(signal)
		if signal == syscall.SIGTERM {
			if !s.process.ProcessState.Success() {
				t.Errorf("after %v: %v", signal, s.process.ProcessState)
			}
			p.wait(lines(roomA, "problem: closing") + " === 1")
		}
		p.wait(fmt.Sprintf("%s > %d", lines(roomA, "problem: network"), restart))
		p.wait(fmt.Sprintf("document.querySelector('%s .problem').textContent.startsWith('The server does not answer.')", card(roomA)))
		s.again()
		p.wait(fmt.Sprintf("document.querySelector('%s code').textContent !== %q", card(roomA), before))
		p.waitState(roomA, "in")
		p.agree(s, roomA)
	}
}

// A tab in the background gets its tokens, too.
func TestTabInTheBackground(t *testing.T) {
	t.Parallel()
	s := startJoinserver(t, shortLived)
	p := openJoinPage(newTab(t), s)
	p.join(roomA)
	p.another().open("about:blank")
	p.wait(`document.visibilityState === "hidden"`)
	p.waitUpdates(roomA, 2)
	p.stayed(roomA)
	p.toFront()
	p.wait(`document.visibilityState === "visible"`)
	p.agree(s, roomA)
	p.stayed(roomA)
}

// The browser freezes tabs that were long in the background: nothing in them runs. Meanwhile
// tokens expire. When it is thawed, the page has a good token at once.
func TestFrozenTab(t *testing.T) {
	t.Parallel()
	s := startJoinserver(t, shortLived)
	p := openJoinPage(newTab(t), s)
	p.join(roomA)
	call(p.tab, page.SetWebLifecycleState, page.SetWebLifecycleStateParams{State: page.SetWebLifecycleStateStateFrozen})
	if !eventually(t, func() bool { return s.status().Stats.Refreshes >= 2 }) {
		t.Fatal("the room of the frozen tab is not kept fresh")
	}
	call(p.tab, page.SetWebLifecycleState, page.SetWebLifecycleStateParams{State: page.SetWebLifecycleStateStateActive})
	p.agree(s, roomA)
	p.waitState(roomA, "in")
	p.wait(fmt.Sprintf("/^[1-9]/.test(document.querySelector('%s .left').textContent)", card(roomA)))
}

// Rooms in several tabs share the tokens, and the six connections of the browser.
func TestSeveralRoomsAndTabs(t *testing.T) {
	t.Parallel()
	s := startJoinserver(t, nil)
	one := openJoinPage(newTab(t), s)
	one.join(roomA)
	one.join(roomB)
	one.join(roomC)
	two := openJoinPage(one.another(), s)
	two.join(roomA)
	two.join(roomB)
	if a, b := one.fingerprint(roomA), two.fingerprint(roomA); a != b {
		t.Errorf("the tabs have the tokens %s and %s of one room", a, b)
	}
	if got := s.status().Stats.Creates; got != 3 {
		t.Errorf("%d creates, want one per room", got)
	}

	// A sixth stream would leave no connection for anything else. Who leaves a room makes
	// place for another.
	two.click(card(roomC) + " button")
	two.wait(lines(roomC, "five rooms open") + " === 1")
	two.waitState(roomC, "out")
	two.click(`[value="/faults/revoke"]`)
	two.wait(lines("API", "Revoke") + " === 1")
	one.toFront()
	one.click(card(roomA) + " button")
	one.waitState(roomA, "out")
	two.toFront()
	two.join(roomC)

	// So does a tab that is closed.
	one.close()
	two.wait("navigator.locks.query().then(({ held }) => held.length === 3)")
	two.click("#room-id")
	two.press(roomD + kb.Enter)
	two.waitState(roomD, "in")
}

// With the keyboard alone: each button is reached with Tab, and keeps the focus.
func TestKeyboard(t *testing.T) {
	t.Parallel()
	s := startJoinserver(t, nil)
	p := openJoinPage(newTab(t), s)
	// focused is the name of the element that has the focus, if one sees that it has.
	const focused = `(() => {
		const e = document.activeElement;
		const visible = e.matches(":focus-visible") && getComputedStyle(e).outlineStyle !== "none";
		return visible ? e.getAttribute("aria-label") ?? e.id + e.textContent : "";
	})()`
	for _, want := range []string{"Status page", "One more tab", "Join: Room 0ccc7b54", "Join: Room 9e2a0cbe"} {
		p.press(kb.Tab)
		if got := eval[string](p.tab, focused); got != want {
			t.Fatalf("Tab leads to %q, want %q", got, want)
		}
	}
	p.press(kb.Enter)
	p.waitState(roomB, "in")
	p.press(kb.Tab)
	p.press(" ")
	p.waitState(roomC, "in")
	if got := eval[string](p.tab, focused); got != "Leave: Room c1d5b0a2" {
		t.Errorf("the focus is on %q after joining", got)
	}
	p.press(kb.Enter)
	p.waitState(roomC, "out")

	p.press(kb.Tab + roomD + kb.Enter)
	p.waitState(roomD, "in")
	p.press(kb.Tab) // the button of the form, behind which the faults begin
	for _, want := range []string{"Outage", "Revoke refresh tokens", "Rate limit"} {
		p.press(kb.Tab)
		if got := eval[string](p.tab, focused); got != want {
			t.Fatalf("Tab leads to %q, want %q", got, want)
		}
		p.press(kb.Enter)
		p.wait(lines("API", want) + " > 0")
	}
}

// A room that does not exist is refused for good.
func TestUnknownRoom(t *testing.T) {
	t.Parallel()
	s := startJoinserver(t, nil)
	p := openJoinPage(newTab(t), s)
	p.expect("404")
	p.click("#room-id")
	p.press(" " + kb.Enter) // is none
	if n := eval[int](p.tab, `document.querySelectorAll("#rooms li").length`); n != 3 {
		t.Errorf("%d rooms, want 3", n)
	}
	p.press("<b>Lobby</b>" + kb.Enter)
	const room = "<b>lobby</b>"
	p.wait(lines(room, "problem: room_not_found") + " === 1")
	p.waitState(room, "out")
	p.wait(fmt.Sprintf("document.querySelector('%s .problem').textContent === 'There is no such room.'", card(room)))
}

// With an API key the page uses that API, and has nothing to break it with.
func TestAPIKey(t *testing.T) {
	t.Parallel()
	api := telnyxtest.Start(t, telnyxtest.Config{APIKey: "KEY-of-mine", Rooms: []string{roomA}})
	s := startJoinserver(t, []string{roomA}, "TELNYX_API_KEY=KEY-of-mine", "TELNYX_BASE_URL="+api.URL)
	p := openJoinPage(newTab(t), s)
	p.join(roomA)
	if n := eval[int](p.tab, `document.querySelectorAll("#rooms li").length * 10 + document.querySelectorAll("#faults button").length`); n != 10 {
		t.Errorf("%d rooms and %d faults, want 1 and 0", n/10, n%10)
	}
	if calls := api.Calls(); calls.Creates != 1 {
		t.Errorf("%+v, want one create", calls)
	}
	response, err := http.Post(s.url+"/faults/outage", "", http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusNotFound {
		t.Errorf("/faults/outage: %s", response.Status)
	}
}

// The page in several states at once, as on a phone and a desktop.
func TestJoinPageLooks(t *testing.T) {
	t.Parallel()
	s := startJoinserver(t, nil)
	p := openJoinPage(newTab(t), s)
	p.look("join-new")
	p.join(roomA)
	p.join(roomB)
	p.look("join")
	p.expect("404")
	p.click("#room-id")
	p.press("no-such-room" + kb.Enter)
	p.wait(lines("no-such-room", "problem") + " === 1")
	p.click(`[value="/faults/outage"]`)
	p.click(card(roomC) + " button")
	p.wait(lines(roomC, "problem: unavailable") + " === 1")
	p.look("join-trouble")
}
