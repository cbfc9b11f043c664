/** The documents of a knowledge base: uploads above, a table below. */

import { css, html, LitElement, nothing, type TemplateResult } from "lit";
import { property, query } from "lit/decorators.js";
import { repeat } from "lit/directives/repeat.js";

import "./base-heading";
import { define } from "../define";
import { documentIcon, trashIcon } from "../icons";
import { shared } from "../theme";
import { type AdminApi, explain } from "./client";
import "./confirm";
import type { ConfirmDialog } from "./confirm";
import { NoticeEvent } from "./events";
import { bytes, count, day } from "./format";
import { earlierEnds, type Order, orderFor } from "./jobs";
import { Pages } from "./load";
import { href } from "./router";
import { consoleStyles } from "./styles";
import { tableStyles } from "./table-styles";
import type { DocumentRow, Job } from "./types";
import "./upload-zone";
import type { Uploads } from "./uploads";

const LOOK_AGAIN = 2500;
const STATES = { pending: "Reading", ready: "Ready", failed: "Failed" } as const;

@define("rag-documents")
export class Documents extends LitElement {
  static override styles = [
    shared,
    consoleStyles,
    tableStyles,
    css`
      rag-upload-zone {
        margin-block-end: 24px;
      }
      .why {
        margin: 4px 0 0;
        color: var(--danger);
        font-size: 0.875em;
        overflow-wrap: anywhere;
      }
      .history {
        margin-block: 4px;
        overflow-wrap: anywhere;
      }
      .history ul {
        margin: 4px 0;
        padding-inline-start: 1.4em;
      }
      .order {
        padding: 0;
        border: 0;
        background: none;
        color: var(--accent);
        font-size: 0.875em;
        font-weight: 560;
        text-decoration: underline;
        text-underline-offset: 0.15em;
      }
    `,
  ];

  @property({ attribute: false }) api!: AdminApi;
  @property({ attribute: false }) uploads!: Uploads;
  @property() slug = "";

  @query("rag-confirm") private confirmation!: ConfirmDialog;

  #timer: ReturnType<typeof setTimeout> | undefined;
  readonly #list = new Pages(this, (cursor) => this.api.documents(this.slug, cursor));

  override connectedCallback() {
    super.connectedCallback();
    this.uploads.addEventListener("finished", this.#reload);
  }

  override disconnectedCallback() {
    super.disconnectedCallback();
    this.uploads.removeEventListener("finished", this.#reload);
    clearTimeout(this.#timer);
  }

  override updated() {
    // What somebody else uploaded is being read too: look again for as long as something is.
    clearTimeout(this.#timer);
    if (this.#list.items.some(({ state }) => state === "pending")) {
      this.#timer = setTimeout(this.#reload, LOOK_AGAIN);
    }
  }

  override render() {
    return html`
      <rag-base-heading .api=${this.api} slug=${this.slug} tab="documents"></rag-base-heading>
      <rag-upload-zone .uploads=${this.uploads} slug=${this.slug}></rag-upload-zone>
      ${this.#list.view((items) => (items.length > 0 ? this.#table(items) : empty()))}
      <rag-confirm></rag-confirm>
    `;
  }

  #table(items: readonly DocumentRow[]): TemplateResult {
    return html`
      <div class="table">
        <table role="table" aria-label="Documents">
          <thead role="rowgroup">
            <tr role="row">
              <th role="columnheader" scope="col">Document</th>
              <th role="columnheader" scope="col">State</th>
              <th role="columnheader" scope="col" class="number">Size</th>
              <th role="columnheader" scope="col" class="number">Pages</th>
              <th role="columnheader" scope="col" class="number">Chunks</th>
              <th role="columnheader" scope="col">Added</th>
              <th role="columnheader" scope="col"><span class="unseen">Delete</span></th>
            </tr>
          </thead>
          <tbody role="rowgroup">
            ${repeat(
              items,
              ({ id }) => id,
              (row) => this.#row(row),
            )}
          </tbody>
        </table>
      </div>
    `;
  }

  #row(row: DocumentRow): TemplateResult {
    const address = href({ at: "chunks", slug: this.slug, documentId: row.id });
    const readable = row.chunks !== null && row.chunks > 0;
    return html`<tr role="row">
      <td role="cell" class="main">
        ${readable ? html`<a href=${address}><bdi>${row.filename}</bdi></a>` : html`<bdi>${row.filename}</bdi>`}
        ${row.title && row.title !== row.filename ? html`<div class="muted small"><bdi>${row.title}</bdi></div>` : nothing}
        ${row.state === "failed" && row.job?.error ? html`<p class="why">${row.job.error.detail}</p>` : nothing}
        ${history(row.job)}
        ${this.#order(row)}
      </td>
      <td role="cell" data-label="State"><span class="state ${row.state}">${STATES[row.state] ?? row.state}</span></td>
      <td role="cell" data-label="Size" class="number">${bytes(row.size)}</td>
      <td role="cell" data-label="Pages" class="number">${row.pages ?? "–"}</td>
      <td role="cell" data-label="Chunks" class="number">${row.chunks ?? "–"}</td>
      <td role="cell" data-label="Added" class="when">${day(row.created_at)}</td>
      <td role="cell" class="last">
        <button
          type="button"
          class="icon-button"
          aria-label=${`Delete ${row.filename}`}
          title="Delete"
          @click=${() => this.#delete(row)}
        >
          ${trashIcon}
        </button>
      </td>
    </tr>`;
  }

  #order({ job, filename }: DocumentRow): TemplateResult | typeof nothing {
    const order = orderFor(job);
    if (!job || !order) return nothing;
    const label = order === "cancel" ? "Stop reading" : "Try again";
    return html`<button
      type="button"
      class="order"
      aria-label=${`${label}: ${filename}`}
      @click=${() => this.#give(job, order)}
    >
      ${label}
    </button>`;
  }

  async #give(job: Job, order: Order) {
    try {
      await this.api.orderJob(job.id, order);
    } catch (error) {
      this.dispatchEvent(new NoticeEvent(explain(error)));
    }
    await this.#list.run();
  }

  readonly #reload = () => void this.#list.run();

  #delete(row: DocumentRow) {
    const chunks = row.chunks ? ` with its ${count(row.chunks, "chunk")}` : "";
    void this.confirmation.ask({
      title: `Delete “${row.filename}”?`,
      text: `The document is erased${chunks}, and no answer can rest on it any more. This cannot be undone.`,
      action: "Delete",
      run: async () => {
        await this.api.deleteDocument(row.id);
        this.dispatchEvent(new NoticeEvent(`“${row.filename}” was deleted.`));
        await this.#list.run();
      },
    });
  }
}

function history(job: Job | null): TemplateResult | typeof nothing {
  const ends = earlierEnds(job);
  if (ends.length === 0) return nothing;
  return html`<details class="history muted small">
    <summary>${count(ends.length, "earlier attempt")}</summary>
    <ul>
      ${ends.map(({ at, code, detail }) => html`<li>${day(at)}: ${detail} <code>${code}</code></li>`)}
    </ul>
  </details>`;
}

function empty(): TemplateResult {
  return html`<div class="empty">
    ${documentIcon}<strong>There is no document here yet</strong>
    <p>Drop some files above. As soon as one is ready, questions can be asked of it.</p>
  </div>`;
}
