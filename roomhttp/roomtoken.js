// roomtoken.js keeps a page supplied with the access token of a video room.
//
//   const watch = watchToken(`/api/rooms/${encodeURIComponent(roomId)}/token`, {
//     onToken: async ({ token, expiresAt, expiresIn }) => { ... },
//     onProblem: ({ code, status, detail, retryAfter, fatal }) => { ... },
//   });
//
// onToken gets the token at once, and each new one well before the old one expires; the next
// call waits for its promise. expiresIn is right even if the clock here is not.
//
// onProblem learns what is wrong; the watch goes on trying, unless fatal is true. code is one
// of the server's, "network" (no answer, or headers failed) or "unexpected". Times are in s.
//
// Other options: headers, an object or an async function called before each request;
// credentials, as for fetch; signal, an AbortSignal that stops the watch.
//
// watch.rejected() reports the newest token as refused, and resolves to whether the server
// took that; watch.stop() ends it all.

const FIRST_STEP = 1000; // between two connections, in ms; it doubles
const LAST_STEP = 30000;
const SILENCE = 2.5; // heartbeats without a sign: the connection is dead

export function watchToken(url, options = {}) {
  const { onToken, onProblem, headers, credentials, signal } = options;
  const end = new AbortController(); // stops listening to events
  let stopped = false;

  let newest, newestId; // token, and its ID
  let pending; // the same, until onToken is called with it
  let received; // when it came, in ms
  let delivering = false;

  let connection; // its AbortController, while there is one
  let lastSign; // of the server, in ms
  let heartbeat = 15000; // there is one at least so often, in ms

  let attempts = 0; // since the last connection that was worth it
  let retry = 0; // what the server wants between two connections, in ms
  let hurry = false; // the pause may end
  let endPause = () => {};

  async function run() {
    while (!stopped) {
      hurry = false;
      const wait = ((await connect()) ?? 0) * 1000 * (1 + Math.random() / 5);
      const step = Math.min(FIRST_STEP * 2 ** attempts++, LAST_STEP) * (0.5 + Math.random() / 2);
      await pause(wait, false);
      await pause(Math.max(step, retry) - wait, true);
    }
  }

  // pause takes that many ms, or less if it is short and there is hurry.
  async function pause(ms, short) {
    if (stopped || ms <= 0 || (short && hurry)) return;
    await new Promise((resolve) => {
      const timer = setTimeout(resolve, Math.min(ms, 2 ** 31 - 1));
      endPause = () => {
        if (short || stopped) clearTimeout(timer), resolve();
      };
    });
  }

  // connect reads the stream to its end. If there is none, it returns the Retry-After.
  async function connect() {
    const own = (connection = new AbortController());
    let response, watchdog;
    const heard = () => {
      lastSign = Date.now();
      clearTimeout(watchdog);
      watchdog = setTimeout(() => own.abort(), SILENCE * heartbeat);
    };
    heard();
    try {
      const aborted = new Promise((_, reject) => (own.signal.onabort = () => reject(own.signal.reason)));
      const answer = request("/events", "Last-Event-ID", newestId, { signal: own.signal });
      response = await Promise.race([answer, aborted]); // headers may never settle
      const type = response.headers.get("Content-Type") ?? "";
      if (response.status !== 200 || !type.startsWith("text/event-stream")) return await refused(response);
      for await (const block of blocks(response.body)) {
        receive(block);
        heard();
        if (block.event === "end") return;
      }
    } catch (error) {
      if (!response) report({ code: "network", detail: String(error), fatal: false });
    } finally {
      clearTimeout(watchdog);
      own.abort();
      connection = undefined;
    }
  }

  async function request(path, name, value, init) {
    const all = new Headers(typeof headers === "function" ? await headers() : headers);
    if (value) all.set(name, value);
    return fetch(url + path, { headers: all, credentials, cache: "no-store", ...init });
  }

  async function refused(response) {
    const { status } = response;
    const { code = "unexpected", detail, retry_after } = Object(await response.json().catch(() => {}));
    const after = response.headers.get("Retry-After"); // seconds, or a date
    const retryAfter = retry_after ?? (Number(after) || Math.max(Date.parse(after) - Date.now(), 0) / 1000 || 0);
    const fatal = status >= 400 && status < 500 && status !== 408 && status !== 429;
    report({ code, status, detail, retryAfter, fatal });
    return retryAfter;
  }

  function receive(block) {
    const sign = /^heartbeat (\d+)/.exec(block[""]);
    if (sign) heartbeat = sign[1] * 1000;
    if (block.retry) retry = Number(block.retry);
    else if (sign) attempts = 0; // the connection lasts
    if (!block.data) return;
    const data = JSON.parse(block.data);
    if (block.event === "token") {
      attempts = 0;
      if (block.id === newestId) return;
      newestId = block.id;
      newest = pending = { token: data.token, expiresAt: new Date(data.token_expires_at), expiresIn: data.expires_in };
      received = performance.now();
      deliver();
    } else if (["problem", "end"].includes(block.event)) {
      const { code, status, detail, retry_after: retryAfter, reconnect = true } = data;
      report({ code, status, detail, retryAfter, fatal: !reconnect });
    }
  }

  async function deliver() {
    if (delivering) return;
    delivering = true;
    while (pending && !stopped) {
      const waited = Math.round((performance.now() - received) / 1000);
      const token = { ...pending, expiresIn: Math.max(pending.expiresIn - waited, 0) };
      pending = undefined;
      await Promise.resolve(token).then(onToken).catch(console.error);
    }
    delivering = false;
  }

  function report(problem) {
    if (stopped) return;
    if (problem.fatal) stop();
    Promise.resolve(problem).then(onProblem).catch(console.error);
  }

  function wake({ type }) {
    const alive = connection && Date.now() - lastSign <= SILENCE * heartbeat;
    if (type !== "resume" && alive) return; // a freeze breaks connections
    if (type === "visibilitychange" && document.visibilityState === "hidden") return;
    hurry = true;
    connection?.abort(); // its watchdog may have slept
    endPause();
  }

  function stop() {
    stopped = true;
    end.abort();
    connection?.abort();
    endPause();
  }

  function rejected() {
    const init = { method: "POST", body: JSON.stringify({ token: newest?.token }) };
    return request("/rejected", "Content-Type", "application/json", init).then(({ ok }) => ok, () => false);
  }

  const untilEnd = { signal: end.signal };
  globalThis.addEventListener?.("online", wake, untilEnd);
  for (const type of ["visibilitychange", "resume"]) globalThis.document?.addEventListener(type, wake, untilEnd);
  signal?.addEventListener("abort", stop, untilEnd);
  if (signal?.aborted) stop();
  run();
  return { stop, rejected };
}

// blocks yields the blocks of a stream of server-sent events as objects of their fields.
// Comments are the field "".
async function* blocks(body) {
  const reader = body.getReader();
  const decoder = new TextDecoder(); // a chunk may end within a character
  let rest = "";
  let block = {};
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return;
      const lines = (rest + decoder.decode(value, { stream: true })).split(/\r\n|\n|\r(?!$)/);
      rest = lines.pop(); // half a line, or a CR that may be half of a CRLF
      for (const line of lines) {
        if (line === "") {
          yield block;
          block = {};
        } else {
          const [, name, value = ""] = /^([^:]*)(?:: ?(.*))?$/s.exec(line);
          block[name] = name in block ? `${block[name]}\n${value}` : value;
        }
      }
    }
  } finally {
    reader.cancel().catch(() => {});
  }
}
