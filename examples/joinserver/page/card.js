import { log, shortName } from "./log.js";

// Card shows a room: whether it is joined, and with which token.
export class Card {
  constructor(roomId, element) {
    this.roomId = roomId;
    this.element = element;
    element.dataset.room = roomId;
    element.append(document.getElementById("room").content.cloneNode(true));
    const part = (selector) => element.querySelector(selector);
    this.button = part("button");
    this.state = part(".state");
    this.token = part(".token");
    this.code = part("code");
    this.rest = part(".left");
    this.bar = part("progress");
    this.problem = part(".problem");
    part("h3").textContent = this.name = `Room ${shortName(roomId)}`;
    part(".id").textContent = roomId;
    this.left();
    setInterval(() => this.draw(), 250);
    document.addEventListener("visibilitychange", () => this.draw());
  }

  // set shows the state: "out", "waiting", "in" or "lost".
  set(state, text) {
    this.element.dataset.state = state;
    this.state.textContent = text;
    const verb = state === "out" ? "Join" : "Leave";
    this.button.textContent = verb;
    this.button.setAttribute("aria-label", `${verb}: ${this.name}`);
  }

  joining() {
    this.problem.hidden = true;
    this.set("waiting", "Waiting for a token");
  }

  connected() {
    this.set("in", "Connected");
    log(this.roomId, "connected", "good");
  }

  disconnected(reason) {
    this.set("lost", "Disconnected until the next token");
    log(this.roomId, `disconnected: ${reason}`, "bad");
  }

  left() {
    this.set("out", "Not joined");
    this.token.hidden = this.bar.hidden = true;
  }

  // showToken shows a token by its fingerprint, and what it is used for.
  showToken(fingerprint, expiresIn, use) {
    this.seconds = expiresIn;
    this.ends = performance.now() + expiresIn * 1000;
    this.code.textContent = fingerprint;
    this.token.hidden = this.bar.hidden = false;
    this.problem.hidden = true;
    this.draw();
    log(this.roomId, `${use}: token ${fingerprint}, for ${expiresIn} s`);
  }

  showProblem({ code, detail, fatal }) {
    if (code === "network") detail = "The server does not answer.";
    this.problem.textContent = fatal ? detail : `${detail} The page goes on trying.`;
    this.problem.hidden = false;
    log(this.roomId, `problem: ${code}`, "bad");
  }

  showFull() {
    this.problem.textContent =
      "This browser has five rooms open, in all tabs. Leave one first: over HTTP/1.1 a browser has six connections to a server, and each room takes one.";
    this.problem.hidden = false;
    log(this.roomId, "not joined: this browser has five rooms open", "bad");
  }

  // draw shows how much time the token has left.
  draw() {
    if (this.token.hidden) return;
    const seconds = Math.max(Math.ceil((this.ends - performance.now()) / 1000), 0);
    this.rest.textContent = seconds > 0 ? `${seconds} s left` : "has ended";
    this.bar.max = this.seconds;
    this.bar.value = seconds;
  }
}

// fingerprint returns what the server's log and the status page call the token: the first 48
// bits of its SHA-256.
export async function fingerprintOf(token) {
  if (!globalThis.crypto?.subtle) return "(no fingerprint without HTTPS)";
  const sum = await crypto.subtle.digest("SHA-256", new TextEncoder().encode(token));
  return Array.from(new Uint8Array(sum, 0, 6), (byte) => byte.toString(16).padStart(2, "0")).join("");
}
