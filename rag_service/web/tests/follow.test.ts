import assert from "node:assert/strict";
import { test } from "node:test";

import { type Delay, type From, followTurn } from "../src/follow";
import { Problem, problemFrom } from "../src/problem";

const QUICK = [1, 1, 1, 1];
const START = 'event: start\nid: 1\ndata: {"run_id":"r"}\n\n';
const delta = (id: number) => `event: delta\nid: ${id}\ndata: {"text":"${id}"}\n\n`;
const DONE = "event: done\nid: 4\ndata: {}\n\n";

const streamOf = (text: string) => () => new Response(text);
const gone = () => {
  throw new Problem("unreachable", "", true);
};

/** What is told where the connections are these, one after the other, and from where each was to go on. */
async function follow(connections: (() => Response)[], abort = new AbortController()) {
  const from: From[] = [];
  const told: string[] = [];
  let failure: unknown = null;
  const connect = async (where: From) => {
    from.push(where);
    return (connections.shift() ?? gone)();
  };
  const line = {
    connect,
    delayed: (by: Delay | null) => told.push(by ?? "there"),
    signal: abort.signal,
  };
  try {
    for await (const { event, id } of followTurn(line, QUICK)) told.push(event + id);
  } catch (error) {
    failure = error instanceof Problem ? error.code : error;
  }
  return { told: told.join(" "), from, failure };
}

test("a turn goes on behind the last event that was told, and tells none twice", async () => {
  const half = `${delta(3).slice(0, -1)}`; // its end never came
  const { told, from, failure } = await follow([
    gone,
    streamOf(START + delta(2) + half),
    gone,
    streamOf(delta(2) + delta(3) + DONE),
  ]);
  assert.equal(told, "lost there start1 delta2 lost lost there delta3 done4");
  assert.deepEqual(from, [null, null, { run: "r", after: 2 }, { run: "r", after: 2 }]);
  assert.equal(failure, null);
});

test("a turn that is gone, one that stays away, and a question that is refused have an end", async () => {
  const missing = () => {
    throw new Problem("not_found", "", false, 404);
  };
  const busy = () => {
    throw new Problem("overloaded", "", true, 503);
  };
  const ends = await Promise.all([
    follow([streamOf(START), missing]),
    follow([streamOf(START), busy, gone, busy]),
    follow([]),
    follow([busy]),
  ]);
  assert.deepEqual(
    ends.map(({ failure, from }) => [failure, from.length]),
    [
      ["cut_off", 2],
      ["cut_off", QUICK.length + 1],
      ["unreachable", 4],
      ["overloaded", 1],
    ],
  );
});

/** What a server says that has no room for the question now. */
const full = (retryAfter: string | null) => () => {
  throw problemFrom(503, { code: "overloaded" }, retryAfter);
};

test("a server that has too much to do is asked again when it says, and three times at most", async (t) => {
  t.mock.timers.enable({ apis: ["setTimeout"] });
  /** What `follow` gives, and the seconds that it took. */
  const run = async (connections: (() => Response)[]) => {
    const following = follow(connections);
    let ended = false;
    void following.then(() => {
      ended = true;
    });
    let seconds = 0;
    for (; !ended && seconds < 100; seconds++) {
      t.mock.timers.tick(1000);
      await new Promise((resolve) => setImmediate(resolve));
    }
    return { ...(await following), seconds };
  };
  const answered = await run([full("2"), full("2"), full("0"), streamOf(START + DONE)]);
  assert.deepEqual([answered.told, answered.failure], ["busy busy busy there start1 done4", null]);
  assert.ok(answered.seconds >= 5);
  const refused = await run([full("1"), full("1"), full("1"), full("1"), streamOf(START + DONE)]);
  assert.deepEqual([refused.told, refused.failure], ["busy busy busy", "overloaded"]);
  for (const unsaid of [null, "31", "3600", "soon", "Wed, 21 Oct 2026 07:28:00 GMT"]) {
    const { from, failure } = await run([full(unsaid)]);
    assert.deepEqual([from.length, failure], [1, "overloaded"], String(unsaid));
  }
  // Too many streams of this reader's, whose ends the server has not noticed yet: those are waited for too.
  const crowded = () => {
    throw problemFrom(429, { code: "too_many_streams" }, "5");
  };
  const resumed = await run([streamOf(START), full("5"), crowded, crowded, streamOf(DONE)]);
  assert.equal(resumed.told, "there start1 lost lost lost lost there done4");
  assert.ok(resumed.seconds >= 15);
});

test("nobody is waited for behind an abort", async () => {
  const abort = new AbortController();
  const leave = () => {
    abort.abort();
    return new Response("");
  };
  const { told, from } = await follow([streamOf(START), leave], abort);
  assert.deepEqual([told, from.length], ["there start1 lost there lost", 2]);
});
