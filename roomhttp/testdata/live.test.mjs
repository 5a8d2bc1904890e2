// roomtoken.js against the server that module_test.go starts.

import assert from "node:assert/strict";
import { test } from "node:test";

const { watchToken } = await import(process.env.ROOMTOKEN_MODULE);
const server = process.env.ROOMTOKEN_SERVER;

// inbox keeps what a callback gets until the test asks for it.
function inbox() {
  const items = [];
  let arrived = () => {};
  return {
    put: (item) => (items.push(item), arrived()),
    async take() {
      while (items.length === 0) await new Promise((resolve) => (arrived = resolve));
      return items.shift();
    },
    items,
  };
}

const control = async (what) => assert.equal((await fetch(`${server}/control/${what}`, { method: "POST" })).status, 200);

test("a watch from its first token to its end", { timeout: 60_000 }, async (t) => {
  const tokens = inbox();
  const problems = inbox();
  const watch = watchToken(`${server}/api/rooms/a%2Fb/token`, {
    headers: async () => ({ Authorization: "Bearer alice" }),
    onToken: tokens.put,
    onProblem: problems.put,
    signal: t.signal,
  });
  const first = await tokens.take();
  assert.equal(first.token, "token 1 of a/b");
  assert.ok(first.expiresIn > 590 && first.expiresIn <= 600);
  assert.ok(Math.abs(first.expiresAt - Date.now() - 600_000) < 10_000);

  assert.equal(await watch.rejected(), true);
  assert.equal((await tokens.take()).token, "token 2 of a/b");

  await control("cut"); // and resume
  await control("renew");
  assert.equal((await tokens.take()).token, "token 3 of a/b");
  assert.deepEqual(problems.items, []);

  await control("logout");
  await control("renew");
  const { code, fatal } = await problems.take();
  assert.deepEqual({ code, fatal }, { code: "forbidden", fatal: true });
  assert.deepEqual(tokens.items, []);
});

test("refused", { timeout: 60_000 }, async () => {
  const problems = inbox();
  watchToken(`${server}/api/rooms/a%2Fb/token`, { onProblem: problems.put });
  const { code, status, fatal } = await problems.take();
  assert.deepEqual({ code, status, fatal }, { code: "unauthenticated", status: 401, fatal: true });
});
