/** What people said of answers, the newest first. */

import { html, LitElement, nothing, type TemplateResult } from "lit";
import { property } from "lit/decorators.js";
import { repeat } from "lit/directives/repeat.js";

import { define } from "../define";
import { en } from "../i18n";
import { shared } from "../theme";
import type { AdminApi } from "./client";
import { day } from "./format";
import { Pages } from "./load";
import { consoleStyles } from "./styles";
import { tableStyles } from "./table-styles";
import type { RatedAnswer } from "./types";

@define("rag-feedback")
export class Feedback extends LitElement {
  static override styles = [shared, consoleStyles, tableStyles];

  @property({ attribute: false }) api!: AdminApi;

  readonly #list = new Pages(this, (cursor) => this.api.feedback(cursor));

  override render() {
    return html`
      <div class="heading">
        <div>
          <h1 tabindex="-1">Feedback</h1>
          <p>What people said of answers. Who they are is not told.</p>
        </div>
      </div>
      ${this.#list.view(table)}
    `;
  }
}

function table(items: readonly RatedAnswer[]): TemplateResult {
  if (items.length === 0)
    return html`<div class="empty"><strong>Nobody has rated an answer yet</strong></div>`;
  return html`
    <div class="table">
      <table role="table" aria-label="Feedback">
        <thead role="rowgroup">
          <tr role="row">
            <th role="columnheader" scope="col">Question and answer</th>
            <th role="columnheader" scope="col">Rating</th>
            <th role="columnheader" scope="col">Knowledge base</th>
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

function row(rated: RatedAnswer): TemplateResult {
  return html`<tr role="row">
    <td role="cell" class="main">
      <strong dir="auto">${rated.question}</strong>
      <details>
        <summary>The answer</summary>
        <p class="said" dir="auto">${rated.answer}</p>
      </details>
    </td>
    <td role="cell" data-label="Rating">
      ${rated.rating === "like" ? en.like : en.dislike}
      ${rated.reason === null ? nothing : html`<div class="muted small">${en.reasons[rated.reason]}</div>`}
      ${rated.comment === null ? nothing : html`<div class="small said" dir="auto">“${rated.comment}”</div>`}
    </td>
    <td role="cell" data-label="Knowledge base">${rated.knowledge_base}</td>
    <td role="cell" data-label="When" class="when">${day(rated.updated_at)}</td>
  </tr>`;
}
