/** How chunks were found: on each side the rank and the score, both together, and why one was left out. */

import { html, type TemplateResult } from "lit";

import type { Trace } from "./types";

/** `named` are the chunks whose titles are known, by id. */
export function traceTable(trace: readonly Trace[], named: ReadonlyMap<string, string>): TemplateResult {
  const place = new Map(trace.map(({ chunk_id }, at) => [chunk_id, at + 1]));
  const why = ({ left_out, like }: Trace) => {
    if (left_out === "cut") return "Left out: its document has given enough";
    if (left_out !== "folded") return "Found";
    return `Left out: says the same as ${place.get(like ?? "") ?? "another"}`;
  };
  return html`<div class="table">
    <table role="table" aria-label="How they were found">
      <thead role="rowgroup">
        <tr role="row">
          <th role="columnheader" scope="col">Chunk</th>
          <th role="columnheader" scope="col" class="number">By meaning</th>
          <th role="columnheader" scope="col" class="number">By words</th>
          <th role="columnheader" scope="col" class="number">Together</th>
          <th role="columnheader" scope="col" class="number">Reranked</th>
          <th role="columnheader" scope="col">Reason</th>
        </tr>
      </thead>
      <tbody role="rowgroup">
        ${trace.map(
          (one, at) => html`<tr role="row">
            <td role="cell" class="main">${at + 1}. <bdi>${named.get(one.chunk_id) ?? ""}</bdi>
              <div class="muted small mono">${one.chunk_id}</div></td>
            <td role="cell" data-label="By meaning" class="number">${side(one.dense_rank, one.dense)}</td>
            <td role="cell" data-label="By words" class="number">${side(one.lexical_rank, one.lexical)}</td>
            <td role="cell" data-label="Together" class="number">${one.fused.toFixed(3)}</td>
            <td role="cell" data-label="Reranked" class="number">${one.reranked?.toFixed(3) ?? "–"}</td>
            <td role="cell" data-label="Reason">${why(one)}</td>
          </tr>`,
        )}
      </tbody>
    </table>
  </div>`;
}

function side(rank: number | null, score: number | null): string {
  return rank === null ? "–" : `#${rank}${score === null ? "" : ` · ${score.toFixed(3)}`}`;
}
