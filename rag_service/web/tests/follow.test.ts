import assert from "node:assert/strict";
import { test } from "node:test";

import { type From, followTurn } from "../src/follow";
import { Problem } from "../src/problem";

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
    lost: (isLost: boolean) => told.push(isLost ? "lost" : "there"),
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

test("nobody is waited for behind an abort", async () => {
  const abort = new AbortController();
  const leave = () => {
    abort.abort();
    return new Response("");
  };
  const { told, from } = await follow([streamOf(START), leave], abort);
  assert.deepEqual([told, from.length], ["there start1 lost there lost", 2]);
});
