import assert from "node:assert/strict";
import { test } from "node:test";

import { VisitorSession } from "../src/session";

test("the site is asked anew who its user is for each token, and an old token is handed on", async () => {
  const sent: unknown[] = [];
  globalThis.fetch = (async (_: unknown, init?: RequestInit) => {
    sent.push(JSON.parse(String(init?.body)));
    return Response.json({
      token: `t${sent.length}`,
      expires_in: 900,
      name: "Shop",
      knowledge_base: "default",
    });
  }) as typeof fetch;
  const said = ["anna", null];
  const session = new VisitorSession("https://rag.example", "emb_1", async () => said.shift());
  assert.equal(await session.current(), "t1");
  assert.equal(await session.current(), "t1");
  assert.equal(await session.renew(), "t2");
  session.close();
  assert.deepEqual(sent, [{ identity: "anna" }, { token: "t1" }]);
});

test("a session that was closed while its token was on the way asks for no other", async (context) => {
  context.mock.timers.enable({ apis: ["setTimeout"] });
  let asked = 0;
  globalThis.fetch = (async () => {
    asked += 1;
    return Response.json({ token: "t", expires_in: 900, name: "Shop", knowledge_base: "default" });
  }) as typeof fetch;
  const session = new VisitorSession("https://rag.example", "emb_1");
  const pending = session.current();
  session.close();
  await pending;
  context.mock.timers.tick(900_000);
  await new Promise((resolve) => setImmediate(resolve));
  assert.equal(asked, 1);
});
