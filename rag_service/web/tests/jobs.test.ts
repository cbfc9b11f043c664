import assert from "node:assert/strict";
import { test } from "node:test";

import { orderFor } from "../src/admin/jobs";
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
