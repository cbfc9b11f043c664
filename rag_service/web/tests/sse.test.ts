import assert from "node:assert/strict";
import { test } from "node:test";

import { EventParser, readEvents, type ServerEvent, SilenceError } from "../src/sse";

const STREAM =
  '\uFEFF: hello\n\nevent: delta\ndata: {"text":"চাঁদ 🌒"}\nid: 7\n\ndata: one\r\ndata:two\r\n\r\n: ping\r\revent: done\rdata\rid: 8\r\r';
const EXPECTED: ServerEvent[] = [
  { event: "delta", data: '{"text":"চাঁদ 🌒"}', id: "7" },
  { event: "message", data: "one\ntwo", id: "7" },
  { event: "done", data: "", id: "8" },
];

function responseOf(pieces: Uint8Array[]): Response {
  return new Response(
    new ReadableStream<Uint8Array>({
      start(controller) {
        for (const piece of pieces) controller.enqueue(piece);
        controller.close();
      },
    }),
  );
}

async function read(pieces: Uint8Array[]): Promise<ServerEvent[]> {
  const events: ServerEvent[] = [];
  for await (const event of readEvents(responseOf(pieces))) events.push(event);
  return events;
}

test("frames are read wherever their bytes are cut", async () => {
  const bytes = new TextEncoder().encode(STREAM);
  for (let cut = 0; cut <= bytes.length; cut += 1) {
    assert.deepEqual(await read([bytes.slice(0, cut), bytes.slice(cut)]), EXPECTED, `cut at ${cut}`);
  }
  assert.deepEqual(await read([...bytes].map((byte) => Uint8Array.of(byte))), EXPECTED);
});

test("what a token says cannot become a frame", () => {
  const data = JSON.stringify({ text: "a\n\nevent: done\ndata: {}\r\n\r\n" });
  assert.deepEqual(
    [...new EventParser().feed(`event: delta\ndata: ${data}\n\n`)],
    [{ event: "delta", data, id: "" }],
  );
});

test("an event without its empty line is none", async () => {
  assert.deepEqual(await read([new TextEncoder().encode("event: done\ndata: {}\n")]), []);
});

test("silence ends the stream, and the connection is left", async () => {
  let left = false;
  const response = new Response(
    new ReadableStream({
      cancel() {
        left = true;
      },
    }),
  );
  await assert.rejects(async () => {
    for await (const _ of readEvents(response, 20)) assert.fail("there is nothing to read");
  }, SilenceError);
  assert.equal(left, true);
});

test("whoever leaves the loop leaves the connection", async () => {
  let left = false;
  const response = new Response(
    new ReadableStream({
      start: (controller) => controller.enqueue(new TextEncoder().encode("data: 1\n\n")),
      cancel() {
        left = true;
      },
    }),
  );
  for await (const _ of readEvents(response)) break;
  assert.equal(left, true);
});
