// Tests of roomtoken.js on fake time, with a scripted fetch. module_test.go runs them; by hand:
//
//   cp roomtoken.js /tmp/roomtoken.mjs && ROOMTOKEN_MODULE=/tmp/roomtoken.mjs node --test testdata/

import assert from "node:assert/strict";
import { getEventListeners } from "node:events";
import { mock, test } from "node:test";

const { watchToken } = await import(process.env.ROOMTOKEN_MODULE);

const URL = "/api/rooms/lobby/token";
const opening = "retry: 1\n: heartbeat 15\n\n";

// A world is a page and its server.
class World {
  requests = []; // { at, url, init, headers, signal, ended }
  tokens = [];
  problems = [];
  answers = []; // what the next requests get: functions from the request to a Response; the last one stays

  constructor(...answers) {
    this.answers = answers;
    globalThis.fetch = (url, init) => {
      const request = { at: Date.now(), url, init, headers: new Headers(init.headers), signal: init.signal };
      this.requests.push(request);
      const answer = this.answers.length > 1 ? this.answers.shift() : this.answers[0];
      return new Promise((resolve, reject) => {
        init.signal?.addEventListener("abort", () => reject(init.signal.reason));
        if (init.signal?.aborted) reject(init.signal.reason);
        Promise.resolve(answer(request)).then(resolve, reject);
      });
    };
    globalThis.window = new EventTarget();
    globalThis.addEventListener = window.addEventListener.bind(window);
    globalThis.document = new EventTarget();
    document.visibilityState = "visible";
  }

  watch(options = {}) {
    this.handle = watchToken(URL, {
      onToken: (token) => void this.tokens.push(token),
      onProblem: (problem) => void this.problems.push(problem),
      ...options,
    });
    return this.handle;
  }

  // delays are the times between two requests each, in ms.
  get delays() {
    return this.requests.slice(1).map(({ at }, i) => at - this.requests[i].at);
  }

  get codes() {
    return this.problems.map(({ code }) => code);
  }
}

// within runs a test in a world of its own.
function within(name, body) {
  test(name, async () => {
    mock.timers.enable({ apis: ["setTimeout", "Date"], now: Date.UTC(2026, 6, 1) });
    const random = mock.method(Math, "random", () => 0.5);
    const errors = mock.method(console, "error", () => {});
    let world;
    const make = (...answers) => (world = new World(...answers));
    try {
      await body(make, { random, errors });
    } finally {
      world?.handle?.stop();
      await settle();
      mock.timers.reset();
      mock.restoreAll();
    }
  });
}

// settle lets everything run that does not wait for time.
async function settle() {
  for (let i = 0; i < 8; i++) await new Promise(setImmediate);
}

// advance lets time pass.
async function advance(ms) {
  await settle();
  for (let left = ms; left > 0; left -= 50) {
    mock.timers.tick(Math.min(left, 50));
    await settle();
  }
}

const encode = (text) => (typeof text === "string" ? new TextEncoder().encode(text) : text);

// stream makes an answer whose body the test writes: send, end and fail.
function stream(...first) {
  const answer = ({ signal }) => {
    const body = new ReadableStream({
      start(controller) {
        answer.send = (text) => controller.enqueue(encode(text));
        answer.end = () => controller.close();
        answer.fail = () => controller.error(new TypeError("cut off"));
        signal.addEventListener("abort", () => controller.error(signal.reason));
        for (const text of first) answer.send(text);
      },
    });
    return new Response(body, { headers: { "Content-Type": "text/event-stream" } });
  };
  return answer;
}

const token = (n) =>
  `id: id${n}\nevent: token\ndata: {"token":"token ${n}","token_expires_at":"2026-07-01T00:10:00Z","expires_in":600}\n\n`;

const end = (code, reconnect) => `event: end\ndata: {"code":"${code}","reconnect":${reconnect}}\n\n`;

// refusal makes an answer with a problem document.
const refusal = (status, code, headers = {}, more = {}) => () =>
  Response.json(
    { type: "about:blank", title: "x", status, code, detail: "why", ...more },
    { status, headers: { ...headers, "Content-Type": "application/problem+json" } },
  );

const unreachable = () => Promise.reject(new TypeError("fetch failed"));

within("each token comes once, with its times", async (make) => {
  const first = stream(opening, token(1));
  const world = make(first);
  world.watch();
  await settle();
  assert.deepEqual(world.tokens, [{ token: "token 1", expiresAt: new Date("2026-07-01T00:10:00Z"), expiresIn: 600 }]);
  first.send(token(1));
  first.send(token(2));
  first.send(token(2));
  await settle();
  assert.deepEqual(world.tokens.map(({ token }) => token), ["token 1", "token 2"]);
  assert.equal(world.requests.length, 1);
  const { url, init, headers } = world.requests[0];
  assert.equal(url, URL + "/events");
  assert.equal(init.method ?? "GET", "GET");
  assert.equal(init.cache, "no-store");
  assert.equal(headers.has("Last-Event-ID"), false);
});

within("a stream that breaks off is resumed", async (make) => {
  const [first, second] = [stream(opening, token(1)), stream(opening)];
  const world = make(first, second);
  world.watch();
  await settle();
  first.fail();
  await advance(1000);
  assert.equal(world.requests[1].headers.get("Last-Event-ID"), "id1");
  second.send(token(1));
  second.send(token(2));
  await settle();
  assert.deepEqual(world.tokens.map(({ token }) => token), ["token 1", "token 2"]);
  assert.deepEqual(world.problems, []);
});

within("the pause doubles from 1 s to 30 s, less up to a half", async (make, { random }) => {
  for (const [drawn, want] of [
    [0.999999, [1000, 2000, 4000, 8000, 16000, 30000, 30000]],
    [0, [500, 1000, 2000, 4000, 8000, 15000, 15000]],
  ]) {
    random.mock.mockImplementation(() => drawn);
    const world = make(unreachable);
    const { stop } = world.watch();
    await advance(95_000);
    stop();
    assert.deepEqual(world.delays.slice(0, want.length).map((ms) => Math.ceil(ms / 50) * 50), want);
    assert.ok(world.codes.every((code) => code === "network"));
    assert.equal(world.problems[0].fatal, false);
    assert.match(world.problems[0].detail, /fetch failed/);
  }
});

within("the pause is drawn each time", async (make, { random }) => {
  random.mock.restore();
  const pauses = new Set();
  for (let i = 0; i < 10; i++) {
    const world = make(unreachable);
    const { stop } = world.watch();
    await advance(1050);
    stop();
    pauses.add(world.delays[0]);
  }
  assert.ok(pauses.size > 3, `the pauses are ${[...pauses]}`);
});

within("a connection that was worth it lets the pause begin anew", async (make) => {
  const long = stream(opening);
  const world = make(unreachable, unreachable, unreachable, long, unreachable);
  world.watch();
  await advance(6_000);
  assert.equal(world.requests.length, 4);
  await advance(15_000);
  long.send(": heartbeat 15\n\n");
  await settle();
  long.fail();
  await advance(800);
  assert.equal(world.requests.length, 5);
});

within("one that ends at once does not", async (make) => {
  const world = make((request) => stream(opening, end("closing", true))(request));
  world.watch();
  await advance(50_000);
  assert.ok(world.requests.length > 4 && world.requests.length < 9, `${world.requests.length} requests in 50 s`);
  assert.ok(world.codes.every((code) => code === "closing"));
});

within("Retry-After is kept, and exceeded by up to a fifth", async (make, { random }) => {
  for (const [headers, body] of [
    [{ "Retry-After": "10" }, { retry_after: 10 }],
    [{ "Retry-After": "10" }, {}],
    [{ "Retry-After": "Wed, 01 Jul 2026 00:00:10 GMT" }, {}],
  ]) {
    for (const [drawn, want] of [[0, 10_000], [0.999999, 12_000]]) {
      mock.timers.setTime(Date.UTC(2026, 6, 1));
      random.mock.mockImplementation(() => drawn);
      const world = make(refusal(503, "too_many_streams", headers, body), stream(opening));
      const { stop } = world.watch();
      await advance(5_000);
      window.dispatchEvent(new Event("online"));
      await advance(want - 5_100);
      assert.equal(world.requests.length, 1, "it came too soon");
      await advance(150);
      assert.equal(world.requests.length, 2, "it did not come");
      assert.deepEqual(world.problems, [{ code: "too_many_streams", status: 503, detail: "why", retryAfter: 10, fatal: false }]);
      stop();
    }
  }
});

within("a short Retry-After does not shorten the pause", async (make) => {
  const world = make(refusal(503, "unavailable", { "Retry-After": "1" }));
  world.watch();
  await advance(60_000);
  assert.ok(world.requests.length < 9, `${world.requests.length} requests in a minute`);
});

within("an answer may be without a Retry-After, or with nonsense", async (make) => {
  const world = make(refusal(503, "x"), refusal(503, "x", { "Retry-After": "soon" }), refusal(503, "x", { "Retry-After": "0" }), stream(opening));
  world.watch();
  await advance(6_000);
  assert.equal(world.requests.length, 4);
  assert.deepEqual(world.problems.map(({ retryAfter }) => retryAfter), [0, 0, 0]);
});

within("a Retry-After beyond what setTimeout takes is no storm", async (make) => {
  const world = make(refusal(503, "unavailable", {}, { retry_after: 31_536_000 }));
  world.watch();
  await advance(10_000);
  assert.equal(world.requests.length, 1);
});

within("the server's retry is kept", async (make) => {
  const first = stream("retry: 4000\n: heartbeat 15\n\n", token(1));
  const world = make(first, unreachable, stream(opening));
  world.watch();
  await settle();
  first.end();
  await advance(3_900);
  assert.equal(world.requests.length, 1);
  await advance(200);
  assert.equal(world.requests.length, 2);
  await advance(3_850);
  assert.equal(world.requests.length, 2);
  await advance(200);
  assert.equal(world.requests.length, 3);
});

within("2.5 heartbeats of silence are a break", async (make) => {
  const first = stream("retry: 1\n: heartbeat 4\n\n", token(1));
  const world = make(first, stream(opening));
  world.watch();
  await settle();
  for (let i = 0; i < 5; i++) {
    await advance(9_900);
    first.send(": heartbeat 4\n\n");
    await settle();
  }
  await advance(9_900);
  assert.equal(world.requests[0].signal.aborted, false);
  await advance(150);
  assert.equal(world.requests[0].signal.aborted, true);
  await advance(1_000);
  assert.equal(world.requests.length, 2);
  assert.equal(world.requests[1].headers.get("Last-Event-ID"), "id1");
  assert.deepEqual(world.problems, []);
});

within("a heartbeat of more than 15 s is no break", async (make) => {
  const first = stream("retry: 1\n: heartbeat 60\n\n", token(1));
  const world = make(first);
  world.watch();
  await advance(149_000);
  assert.equal(world.requests.length, 1);
  await advance(2_000);
  assert.equal(world.requests.length, 2);
});

within("no answer for 2.5 heartbeats is no network", async (make) => {
  const world = make(() => new Promise(() => {}), stream(opening));
  world.watch();
  await advance(37_400);
  assert.equal(world.requests.length, 1);
  await advance(2_000);
  assert.equal(world.requests.length, 2);
  assert.deepEqual(world.codes, ["network"]);
});

within("it tries at once when the browser is back online or the page visible", async (make) => {
  for (const [target, type, state, more] of [
    ["window", "online", "visible", 1],
    ["window", "online", "hidden", 1],
    ["document", "visibilitychange", "hidden", 0],
    ["document", "visibilitychange", "visible", 1],
  ]) {
    const world = make(unreachable);
    const { stop } = world.watch();
    await advance(5_300);
    const before = world.requests.length;
    document.visibilityState = state;
    globalThis[target].dispatchEvent(new Event(type));
    await settle();
    assert.equal(world.requests.length, before + more, `${type} while the page is ${state}`);
    stop();
  }
});

within("a connection that is alive is left alone", async (make) => {
  const world = make(stream(opening, token(1)));
  world.watch();
  await advance(30_000);
  window.dispatchEvent(new Event("online"));
  document.dispatchEvent(new Event("visibilitychange"));
  await settle();
  assert.equal(world.requests.length, 1);
  assert.equal(world.requests[0].signal.aborted, false);
});

within("a connection that slept with the page is replaced at once", async (make) => {
  const world = make(stream(opening, token(1)), stream(opening));
  world.watch();
  await settle();
  mock.method(Date, "now", () => Date.UTC(2026, 6, 1, 1));
  document.dispatchEvent(new Event("visibilitychange"));
  await settle();
  assert.equal(world.requests.length, 2);
  assert.equal(world.requests[0].signal.aborted, true);
});

within("a connection from before the browser froze the page is replaced at once", async (make) => {
  const world = make(stream(opening, token(1)), stream(opening));
  world.watch();
  await settle();
  document.visibilityState = "hidden"; // as it is until the page is shown, a moment later
  document.dispatchEvent(new Event("resume"));
  await settle();
  assert.equal(world.requests.length, 2);
  assert.equal(world.requests[0].signal.aborted, true);
  assert.equal(world.requests[1].headers.get("Last-Event-ID"), "id1");
});

within("a final answer stops it for good", async (make) => {
  for (const [status, fatal] of [
    [400, true], [401, true], [403, true], [404, true], [410, true],
    [408, false], [429, false], [500, false], [502, false], [503, false],
  ]) {
    const world = make(refusal(status, "some_code"));
    const { stop } = world.watch();
    await advance(10_000);
    assert.equal(world.requests.length === 1, fatal, `status ${status}: ${world.requests.length} requests`);
    assert.deepEqual(world.problems[0], { code: "some_code", status, detail: "why", retryAfter: 0, fatal });
    stop();
  }
});

within("so does an end without reconnect", async (make) => {
  const world = make(stream(opening, token(1), end("forbidden", false)));
  world.watch();
  await advance(60_000);
  assert.equal(world.requests.length, 1);
  assert.deepEqual(world.problems.map(({ code, fatal }) => ({ code, fatal })), [{ code: "forbidden", fatal: true }]);
});

within("an end with reconnect does not", async (make) => {
  const world = make(stream(opening, token(1), end("closing", true)), stream(opening));
  world.watch();
  await advance(1_000);
  assert.equal(world.requests.length, 2);
  assert.deepEqual(world.problems.map(({ code, fatal }) => ({ code, fatal })), [{ code: "closing", fatal: false }]);
});

within("answers that are not the server's", async (make) => {
  const world = make(
    () => new Response("<html>", { status: 200, headers: { "Content-Type": "text/html" } }),
    () => new Response(null, { status: 204 }),
    () => new Response("[]", { status: 502 }),
    () => new Response("Forbidden", { status: 403 }),
  );
  world.watch();
  await advance(60_000);
  assert.deepEqual(world.problems, [200, 204, 502, 403].map((status) => ({
    code: "unexpected", status, detail: undefined, retryAfter: 0, fatal: status === 403,
  })));
});

within("a problem is reported, and the stream goes on", async (make) => {
  const first = stream(opening);
  const world = make(first);
  world.watch();
  await settle();
  first.send('event: problem\ndata: {"type":"about:blank","title":"x","status":503,"code":"rate_limited","detail":"why","retry_after":7}\n\n');
  first.send('event: problem\ndata: {"type":"about:blank","title":"x","status":502,"code":"source_refused","detail":"why"}\n\n');
  first.send(token(1));
  await settle();
  assert.deepEqual(world.problems, [
    { code: "rate_limited", status: 503, detail: "why", retryAfter: 7, fatal: false },
    { code: "source_refused", status: 502, detail: "why", retryAfter: undefined, fatal: false },
  ]);
  assert.equal(world.tokens.length, 1);
  assert.equal(world.requests.length, 1);
});

within("an event that makes no sense is a break", async (make) => {
  const world = make(stream(opening, "event: token\ndata: {\n\n"), stream(opening, "event: later\ndata: {}\n\n", token(1)));
  world.watch();
  await advance(1_000);
  assert.equal(world.tokens.length, 1);
  assert.deepEqual(world.problems, []);
});

within("stop stops everything", async (make) => {
  const { signal } = new AbortController();
  const listeners = () =>
    [[window, "online"], [document, "visibilitychange"], [signal, "abort"]].map(([target, type]) => getEventListeners(target, type).length);
  const world = make(stream(opening, token(1)));
  const { stop } = world.watch({ signal });
  await settle();
  assert.deepEqual(listeners(), [1, 1, 1]);
  stop();
  stop();
  assert.deepEqual(listeners(), [0, 0, 0]);
  assert.equal(world.requests[0].signal.aborted, true);
  window.dispatchEvent(new Event("online"));
  await advance(60_000);
  assert.deepEqual([world.requests.length, world.tokens.length, world.problems.length], [1, 1, 0]);
});

within("stop in a pause, a short one and that of a Retry-After", async (make) => {
  for (const answer of [unreachable, refusal(503, "unavailable", { "Retry-After": "20" })]) {
    const world = make(answer);
    const { stop } = world.watch();
    await settle();
    stop();
    await advance(60_000);
    assert.equal(world.requests.length, 1);
  }
});

within("a signal stops it", async (make) => {
  const controller = new AbortController();
  const world = make(stream(opening, token(1)));
  world.watch({ signal: controller.signal });
  await settle();
  controller.abort();
  await advance(60_000);
  assert.equal(world.requests[0].signal.aborted, true);
  assert.deepEqual([world.requests.length, world.problems.length], [1, 0]);

  const another = make(stream(opening, token(1)));
  another.watch({ signal: controller.signal }); // has ended before
  await advance(60_000);
  assert.deepEqual([another.requests.length, another.tokens.length, another.problems.length], [0, 0, 0]);
});

within("headers may be an object", async (make) => {
  const world = make(unreachable);
  world.watch({ headers: { Authorization: "Bearer 1" }, credentials: "include" });
  await advance(1_000);
  assert.deepEqual(world.requests.map(({ headers }) => headers.get("Authorization")), ["Bearer 1", "Bearer 1"]);
  assert.deepEqual(world.requests.map(({ init }) => init.credentials), ["include", "include"]);
});

within("headers may be an async function, called before each connection", async (make) => {
  let n = 0;
  const world = make(unreachable);
  world.watch({ headers: async () => ({ Authorization: `Bearer ${++n}` }) });
  await advance(1_000);
  assert.deepEqual(world.requests.map(({ headers }) => headers.get("Authorization")), ["Bearer 1", "Bearer 2"]);
});

within("headers that fail are tried again", async (make) => {
  let n = 0;
  const world = make(stream(opening, token(1)));
  world.watch({
    headers: async () => {
      if (++n === 1) throw new Error("signed out");
    },
  });
  await advance(1_000);
  assert.deepEqual(world.problems, [{ code: "network", detail: "Error: signed out", fatal: false }]);
  assert.equal(world.tokens.length, 1);
});

within("headers that never come are given up and asked for again", async (make) => {
  let n = 0;
  const world = make(stream(opening, token(1)));
  world.watch({ headers: () => (++n === 1 ? new Promise(() => {}) : {}) });
  await advance(37_400);
  assert.deepEqual([n, world.problems.length], [1, 0]);
  await advance(2_000);
  assert.deepEqual(world.codes, ["network"]);
  assert.equal(world.tokens.length, 1);
});

within("stop does not wait for headers", async (make) => {
  let resolve;
  const world = make(stream(opening, token(1)));
  const { stop } = world.watch({ headers: () => new Promise((done) => (resolve = done)) });
  await settle();
  stop();
  resolve({});
  await advance(1_000);
  assert.ok(world.requests.every(({ signal }) => signal.aborted));
  assert.deepEqual(world.problems, []);
});

within("rejected reports the newest token", async (make) => {
  const world = make(stream(opening, token(1), token(2)), () => new Response(null, { status: 204 }), refusal(404, "not_found"), unreachable);
  const { rejected } = world.watch({ headers: { Authorization: "Bearer 1" }, credentials: "include" });
  await settle();
  assert.equal(await rejected(), true);
  const { url, init, headers } = world.requests[1];
  assert.deepEqual([url, init.method, init.body, init.credentials], [URL + "/rejected", "POST", '{"token":"token 2"}', "include"]);
  assert.deepEqual([headers.get("Content-Type"), headers.get("Authorization")], ["application/json", "Bearer 1"]);
  assert.equal(await rejected(), false);
  assert.equal(await rejected(), false);
  assert.deepEqual(world.problems, []);
});

within("however the bytes are cut, and whatever ends the lines", async (make) => {
  const text =
    "retry: 5\n: heartbeat 15 ü\n\n" +
    "\uFEFF:no space\nid:id1\nevent: token\n" +
    'data: {"token":"tökén €🙂",\ndata:"token_expires_at":"2026-07-01T00:10:00Z",\ndata: "expires_in":600}\nunknown\nother: field: x\n\n' +
    ": heartbeat 15\n\n" +
    'event: problem\ndata: {"code":"unavailable","status":503,"detail":"kein Töken","retry_after":2}\n\n';
  for (const ending of ["\n", "\r\n", "\r"]) {
    const bytes = encode(text.replace("\uFEFF", "").replaceAll("\n", ending));
    for (const size of [1, 2, 3, 5, 7, 64, bytes.length]) {
      const chunks = [];
      for (let i = 0; i < bytes.length; i += size) chunks.push(bytes.slice(i, i + size));
      const world = make(stream(...chunks, ...(ending === "\r" ? [": heartbeat 15\r"] : [])));
      const { stop } = world.watch();
      await settle();
      for (let i = 0; i < 30; i++) await settle();
      assert.deepEqual(world.tokens.map(({ token, expiresIn }) => [token, expiresIn]), [["tökén €🙂", 600]], `${JSON.stringify(ending)} by ${size}`);
      assert.deepEqual(world.problems.map(({ detail }) => detail), ["kein Töken"]);
      stop();
    }
  }
});

within("onToken is called one call at a time, with the newest token", async (make) => {
  const first = stream(opening, token(1));
  const world = make(first);
  const calls = [];
  world.watch({ onToken: ({ token }) => new Promise((done) => calls.push({ token, done })) });
  await settle();
  for (const n of [2, 3, 4]) first.send(token(n));
  await settle();
  assert.deepEqual(calls.map(({ token }) => token), ["token 1"]);
  calls[0].done();
  await settle();
  assert.deepEqual(calls.map(({ token }) => token), ["token 1", "token 4"]);
  world.handle.stop();
  calls[1].done();
});

within("expiresIn is what is left when onToken is called", async (make) => {
  mock.method(performance, "now", () => Date.now());
  const first = stream(opening, token(1));
  const world = make(first);
  const calls = [];
  world.watch({ onToken: ({ expiresIn }) => new Promise((done) => calls.push({ expiresIn, done })) });
  await settle();
  first.send(token(2));
  await advance(7_500);
  first.send(": heartbeat 15\n\n");
  calls[0].done();
  await settle();
  assert.deepEqual(calls.map(({ expiresIn }) => expiresIn), [600, 592]);
  first.send(token(3));
  await advance(700_000);
  calls[1].done();
  await settle();
  assert.equal(calls[2].expiresIn, 0);
  world.handle.stop();
  calls[2].done();
});

within("errors of the page's functions end nothing", async (make, { errors }) => {
  const first = stream(opening, token(1));
  const world = make(first, unreachable);
  const seen = [];
  world.watch({
    onToken: ({ token }) => {
      seen.push(token);
      throw new Error("onToken is broken");
    },
    onProblem: () => {
      throw new Error("onProblem is broken");
    },
  });
  await settle();
  first.send(token(2));
  await settle();
  assert.deepEqual(seen, ["token 1", "token 2"]);
  first.fail();
  await advance(5_000);
  assert.ok(world.requests.length > 2);
  assert.deepEqual([...new Set(errors.mock.calls.map(({ arguments: [error] }) => error.message))], ["onToken is broken", "onProblem is broken"]);
});

within("no function is required", async (make) => {
  const world = make(stream(opening, token(1), 'event: problem\ndata: {"code":"unavailable"}\n\n'));
  world.handle = watchToken(URL);
  await settle();
  assert.equal(world.requests.length, 1);
});
