import assert from "node:assert/strict";
import { test } from "node:test";

import { earlierEnds, orderFor } from "../src/admin/jobs";
import type { Job } from "../src/admin/types";

function job(state: string): Job {
  return {
    id: "j",
    document_id: "d",
    filename: "f",
    state,
    progress: { done: 0, total: 0 },
    attempts: 0,
    warnings: [],
    error: null,
    history: [],
  };
}

test("a job under way can be cancelled, one given up can be tried anew, one that succeeded neither", () => {
  for (const state of ["queued", "extracting", "chunking", "embedding", "storing"]) {
    assert.equal(orderFor(job(state)), "cancel");
  }
  for (const state of ["failed", "cancelled", "quarantined"]) assert.equal(orderFor(job(state)), "retry");
  assert.equal(orderFor(job("succeeded")), null);
  assert.equal(orderFor(null), null);
});

test("what went before is told the newest first, without the end that is shown anyway", () => {
  const end = (code: string) => ({ at: "2026-01-01T00:00:00Z", code, detail: "" });
  const history = [end("a"), end("b"), end("c")];
  const codes = (state: string) => earlierEnds({ ...job(state), history }).map(({ code }) => code);
  assert.deepEqual(codes("queued"), ["c", "b", "a"]);
  assert.deepEqual(codes("failed"), ["b", "a"]);
  assert.deepEqual(codes("succeeded"), []);
});
