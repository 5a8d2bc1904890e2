import { watchToken } from "/api/roomtoken.js";
import { initialize } from "./video.js"; // with real rooms: "@telnyx/video"
import { Card, fingerprintOf } from "./card.js";
import { log } from "./log.js";
import { withStream } from "./streams.js";

// join joins a room. It returns when signal is aborted, or when the server says that there
// will be no token.
function join(roomId, card, signal) {
  return new Promise((resolve) => {
    if (signal.aborted) return resolve();
    let room;
    watchToken(`/api/rooms/${encodeURIComponent(roomId)}/token`, {
      signal,
      onToken: async ({ token, expiresIn }) => {
        const fingerprint = await fingerprintOf(token);
        if (signal.aborted) return;
        card.showToken(fingerprint, expiresIn, room ? "updateClientToken" : "initialize");
        if (room) return room.updateClientToken(token);
        room = await initialize({ roomId, clientToken: token });
        room.on("connected", () => card.connected());
        room.on("disconnected", (reason) => {
          room = undefined; // the next token joins anew
          card.disconnected(reason);
        });
        await room.connect();
      },
      onProblem: (problem) => {
        card.showProblem(problem);
        if (problem.fatal) end();
      },
    });
    signal.addEventListener("abort", end);
    function end() {
      room?.disconnect();
      resolve();
    }
  });
}

// offer makes an empty element the card of a room, and returns the button that joins and
// leaves it.
function offer(roomId, element) {
  const card = new Card(roomId, element);
  let stay; // while the room is joined, the AbortController that ends it
  card.button.addEventListener("click", async () => {
    if (stay) return stay.abort();
    stay = new AbortController();
    card.joining();
    const free = await withStream(() => join(roomId, card, stay.signal));
    stay = undefined;
    card.left();
    if (!free) card.showFull();
  });
  return card.button;
}

const rooms = document.getElementById("rooms");
const buttons = new Map(); // by room ID
for (const element of rooms.children) buttons.set(element.dataset.room, offer(element.dataset.room, element));

document.getElementById("other").addEventListener("submit", (event) => {
  event.preventDefault();
  const roomId = new FormData(event.target).get("room").trim().toLowerCase();
  event.target.reset();
  const known = buttons.get(roomId);
  if (known) return known.focus();
  const element = document.createElement("li");
  rooms.append(element);
  buttons.set(roomId, offer(roomId, element));
  buttons.get(roomId).click();
});

for (const button of document.querySelectorAll("#faults button")) {
  const rest = button.nextElementSibling;
  let ends = 0;
  button.addEventListener("click", async () => {
    const answer = await fetch(button.value, { method: "POST" }).catch(() => {});
    if (!answer?.ok) return log("API", `${button.textContent}: the server does not answer`, "bad");
    log("API", button.textContent, "bad");
    ends = performance.now() + button.dataset.seconds * 1000;
  });
  setInterval(() => {
    const seconds = Math.ceil((ends - performance.now()) / 1000);
    rest.textContent = ends && seconds > 0 ? `${seconds} s left` : "";
    if (!ends || seconds > 0) return;
    ends = 0;
    if (button.dataset.seconds > 0) log("API", `${button.textContent} is over`, "good");
  }, 250);
}
