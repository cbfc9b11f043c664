/** What people asked of a knowledge base and its documents did not answer. */

import { html, LitElement, type TemplateResult } from "lit";
import { property } from "lit/decorators.js";
import { repeat } from "lit/directives/repeat.js";

import "./base-heading";
import { define } from "../define";
import { shared } from "../theme";
import type { AdminApi } from "./client";
import { day } from "./format";
import { Pages } from "./load";
import { href } from "./router";
import { consoleStyles } from "./styles";
import { tableStyles } from "./table-styles";
import type { Unanswered } from "./types";

@define("rag-unanswered")
export class UnansweredQuestions extends LitElement {
  static override styles = [shared, consoleStyles, tableStyles];

  @property({ attribute: false }) api!: AdminApi;
  @property() slug = "";

  readonly #list = new Pages(this, (cursor) => this.api.unanswered(this.slug, cursor));

  override render() {
    return html`
      <rag-base-heading .api=${this.api} slug=${this.slug} tab="unanswered"></rag-base-heading>
      ${this.#list.view((items) => this.#table(items))}
    `;
  }

  #table(items: readonly Unanswered[]): TemplateResult {
    if (items.length === 0)
      return html`<div class="empty"><strong>No question was left unanswered</strong>
        <p>None of the last 30 days was refused.</p></div>`;
    return html`
      <p class="muted">Refused in the last 30 days; the one asked last comes first. A document that answers them helps.</p>
      <div class="table">
        <table role="table" aria-label="Unanswered questions">
          <thead role="rowgroup">
            <tr role="row">
              <th role="columnheader" scope="col">Question</th>
              <th role="columnheader" scope="col" class="number">Asked</th>
              <th role="columnheader" scope="col">First</th>
              <th role="columnheader" scope="col">Last</th>
            </tr>
          </thead>
          <tbody role="rowgroup">
            ${repeat(
              items,
              ({ id }) => id,
              (asked) => this.#row(asked),
            )}
          </tbody>
        </table>
      </div>
    `;
  }

  #row({ question, wordings, count, first_at, last_at }: Unanswered): TemplateResult {
    const others = wordings.filter((wording) => wording !== question);
    return html`<tr role="row">
      <td role="cell" class="main">
        <a dir="auto" href=${href({ at: "search", slug: this.slug, query: question })}>${question}</a>
        ${others.map((wording) => html`<div class="muted small" dir="auto">${wording}</div>`)}
      </td>
      <td role="cell" data-label="Asked" class="number">${count} ×</td>
      <td role="cell" data-label="First" class="when">${day(first_at)}</td>
      <td role="cell" data-label="Last" class="when">${day(last_at)}</td>
    </tr>`;
  }
}
