/** The audit log: what admins did, the newest first. */

import { html, LitElement, nothing, type TemplateResult } from "lit";
import { property } from "lit/decorators.js";
import { repeat } from "lit/directives/repeat.js";

import { define } from "../define";
import { shared } from "../theme";
import type { AdminApi } from "./client";
import { day } from "./format";
import { Pages } from "./load";
import { consoleStyles } from "./styles";
import { tableStyles } from "./table-styles";
import type { AuditEntry } from "./types";

@define("rag-audit")
export class Audit extends LitElement {
  static override styles = [shared, consoleStyles, tableStyles];

  @property({ attribute: false }) api!: AdminApi;

  readonly #list = new Pages(this, (cursor) => this.api.audit(cursor));

  override render() {
    return html`
      <div class="heading">
        <div>
          <h1 tabindex="-1">Audit log</h1>
          <p>What was changed, and with which key. Nobody can alter it here.</p>
        </div>
      </div>
      ${this.#list.view(table)}
    `;
  }
}

function table(items: readonly AuditEntry[]): TemplateResult {
  return html`
    <div class="table">
      <table role="table" aria-label="Audit log">
        <thead role="rowgroup">
          <tr role="row">
            <th role="columnheader" scope="col">What</th>
            <th role="columnheader" scope="col">Knowledge base</th>
            <th role="columnheader" scope="col">Who</th>
            <th role="columnheader" scope="col">From</th>
            <th role="columnheader" scope="col">When</th>
          </tr>
        </thead>
        <tbody role="rowgroup">
          ${repeat(items, ({ id }) => id, row)}
        </tbody>
      </table>
    </div>
  `;
}

function row(entry: AuditEntry): TemplateResult {
  return html`<tr role="row">
    <td role="cell" class="main">
      ${entry.action}
      <div class="muted small mono">${entry.target_id}</div>
    </td>
    <td role="cell" data-label="Knowledge base">${entry.knowledge_base ?? "–"}</td>
    <td role="cell" data-label="Who">
      <bdi>${entry.key_name || entry.actor}</bdi>
      ${entry.key_prefix ? html`<div class="muted small mono">${entry.key_prefix}</div>` : nothing}
    </td>
    <td role="cell" data-label="From">${entry.ip || "–"}</td>
    <td role="cell" data-label="When" class="when">${day(entry.at)}</td>
  </tr>`;
}
