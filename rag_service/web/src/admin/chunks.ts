/** A document as the retriever sees it: chunk by chunk. */

import { css, html, LitElement, nothing, type TemplateResult } from "lit";
import { property } from "lit/decorators.js";

import { define } from "../define";
import { backIcon } from "../icons";
import { shared } from "../theme";
import type { AdminApi } from "./client";
import { bytes, count } from "./format";
import { Load, Pages } from "./load";
import { href } from "./router";
import { consoleStyles } from "./styles";
import type { Chunk, DocumentRow } from "./types";

@define("rag-chunks")
export class Chunks extends LitElement {
  static override styles = [
    shared,
    consoleStyles,
    css`
      ol {
        display: grid;
        gap: 12px;
        margin: 0;
        padding: 0;
        list-style: none;
      }
      .facts {
        display: flex;
        flex-wrap: wrap;
        gap: 2px 14px;
        margin-block-end: 8px;
        color: var(--muted);
        font-size: 0.875em;
      }
      .headings {
        flex: 1 1 12em;
        color: var(--text);
        font-weight: 600;
      }
      .text {
        margin: 0;
        line-height: 1.6;
        white-space: pre-wrap;
        overflow-wrap: anywhere;
      }
      .context {
        margin: 0 0 6px;
        color: var(--muted);
        font-size: 0.9em;
        white-space: pre-wrap;
        overflow-wrap: anywhere;
      }
    `,
  ];

  @property({ attribute: false }) api!: AdminApi;
  @property() slug = "";
  @property() documentId = "";

  readonly #document = new Load(this, () => this.api.document(this.documentId));
  readonly #chunks = new Pages(this, (cursor) => this.api.chunks(this.documentId, cursor));

  override render() {
    return html`
      <a class="back" href=${href({ at: "documents", slug: this.slug })}>${backIcon} Documents</a>
      ${this.#document.error === undefined ? this.#heading(this.#document.value) : nothing}
      ${this.#chunks.view(
        (items) => html`
          <ol>
            ${items.map((chunk) => this.#chunk(chunk))}
          </ol>
        `,
      )}
    `;
  }

  #heading(row: DocumentRow | undefined): TemplateResult {
    const facts = row
      ? [
          row.title && row.title !== row.filename ? row.title : null,
          bytes(row.size),
          row.pages ? count(row.pages, "page") : null,
          row.chunks === null ? null : count(row.chunks, "chunk"),
          `version ${row.version}`,
        ]
      : [];
    return html`<div class="heading">
      <div>
        <h1 tabindex="-1"><bdi>${row?.filename ?? "Document"}</bdi></h1>
        <p>${facts.filter((fact) => fact !== null).join(" · ")}</p>
      </div>
    </div>`;
  }

  #chunk(chunk: Chunk): TemplateResult {
    return html`<li class="card">
      <div class="facts">
        <span class="headings" dir="auto">${chunk.headings.join(" › ") || `Chunk ${chunk.ordinal + 1}`}</span>
        ${chunk.page === null ? nothing : html`<span>${place(chunk.page, chunk.page_end)}</span>`}
        <span>${count(chunk.tokens, "token")}</span>
        <span>no. ${chunk.ordinal + 1}</span>
      </div>
      ${chunk.context ? html`<p class="context" dir="auto">${chunk.context}</p>` : nothing}
      <p class="text" dir="auto">${chunk.text}</p>
    </li>`;
  }
}

function place(first: number, last: number | null): string {
  return last === null || last === first ? `page ${first}` : `pages ${first} to ${last}`;
}
