/** What the retriever finds for a question, with its scores. */

import { css, html, LitElement, nothing, type TemplateResult } from "lit";
import { property, query, state } from "lit/decorators.js";

import "./base-heading";
import { define } from "../define";
import { chatIcon, searchIcon } from "../icons";
import { shared } from "../theme";
import type { Source } from "../types";
import type { AdminApi } from "./client";
import { failure } from "./load";
import { href } from "./router";
import { consoleStyles } from "./styles";
import { tableStyles } from "./table-styles";
import { traceTable } from "./trace";
import type { SearchAnswer, SearchHit, TracedAnswer } from "./types";

@define("rag-search")
export class Search extends LitElement {
  static override styles = [
    shared,
    consoleStyles,
    tableStyles,
    css`
      form {
        display: flex;
        flex-wrap: wrap;
        align-items: flex-end;
        gap: 12px;
        margin-block-end: 20px;
      }
      form > label {
        flex: 1 1 18em;
      }
      .field {
        inline-size: 7em;
      }
      form .button {
        min-block-size: 42px;
      }
      ol {
        display: grid;
        gap: 12px;
        margin: 0;
        padding: 0;
        list-style: none;
      }
      .hit {
        display: grid;
        grid-template-columns: minmax(0, 1fr) auto;
        gap: 2px 16px;
      }
      h2 {
        margin: 0;
        font-size: 1em;
      }
      .place {
        margin: 0;
        color: var(--muted);
        font-size: 0.875em;
        overflow-wrap: anywhere;
      }
      .score {
        display: grid;
        grid-row: 1 / span 2;
        grid-column: 2;
        justify-items: end;
        align-content: start;
        gap: 4px;
        font-variant-numeric: tabular-nums;
        font-weight: 620;
      }
      meter {
        inline-size: 84px;
        block-size: 8px;
        border: 0;
        border-radius: 4px;
        background: var(--line);
      }
      meter::-webkit-meter-bar {
        block-size: 8px;
        border: 0;
        border-radius: 4px;
        background: var(--line);
      }
      meter::-webkit-meter-optimum-value {
        border-radius: 4px;
        background: var(--accent);
      }
      meter::-moz-meter-bar {
        border-radius: 4px;
        background: var(--accent);
      }
      .text {
        grid-column: 1 / -1;
        margin: 8px 0 0;
        line-height: 1.6;
        white-space: pre-wrap;
        overflow-wrap: anywhere;
      }
      .how {
        margin-block: 28px 12px;
      }
      .facts {
        margin: 0 0 12px;
        color: var(--muted);
        font-size: 0.9em;
      }
    `,
  ];

  @property({ attribute: false }) api!: AdminApi;
  @property() slug = "";
  /** The question that the address asks. */
  @property() query = "";

  @state() private answer: SearchAnswer | null = null;
  @state() private traced: TracedAnswer | null = null;
  @state() private searching = false;
  @state() private error: unknown;

  @query("#question") private input!: HTMLInputElement;
  @query("#limit") private limit!: HTMLSelectElement;

  override firstUpdated() {
    if (this.query) void this.#search();
  }

  override render() {
    return html`
      <rag-base-heading .api=${this.api} slug=${this.slug} tab="search"></rag-base-heading>
      <form role="search" @submit=${this.#onSubmit}>
        <label>Question<input id="question" type="search" required maxlength="4000" autocomplete="off" .value=${this.query} /></label>
        <div class="field">
          <label for="limit">Results</label>
          <select id="limit">
            ${[5, 10, 20, 50].map((number) => html`<option value=${number} ?selected=${number === 10}>${number}</option>`)}
          </select>
        </div>
        <button type="submit" class="button primary" ?disabled=${this.searching}>${searchIcon} Search</button>
        <button type="button" class="button" ?disabled=${this.searching} @click=${this.#onAnswer}>${chatIcon} Answer</button>
      </form>
      <div aria-live="polite" aria-busy=${this.searching ? "true" : "false"}>
        ${this.error === undefined ? nothing : failure(this.error, () => this.#search())}
        ${this.traced ? turn(this.traced) : this.answer ? this.#results(this.answer) : this.error === undefined ? hint() : nothing}
      </div>
    `;
  }

  #results({ hits, timings, trace }: SearchAnswer): TemplateResult {
    if (hits.length === 0) {
      return html`<div class="empty">${searchIcon}<strong>Nothing was found</strong>
        <p>Either there is no document in this knowledge base yet, or none that is ready.</p></div>`;
    }
    const spent = Object.entries(timings).map(
      ([name, time]) => `${name.replaceAll("_", " ")} ${time.toFixed(1)} ms`,
    );
    return html`
      <p class="facts">${hits.length} of the nearest chunks${spent.length > 0 ? html` · ${spent.join(", ")}` : nothing}</p>
      <ol>
        ${hits.map((hit) => this.#hit(hit))}
      </ol>
      ${trace ? html`<h2 class="how">How they were found</h2>${traceTable(trace, titles(hits))}` : nothing}
    `;
  }

  #hit(hit: SearchHit): TemplateResult {
    const place = [
      hit.filename,
      hit.page === null ? null : `page ${hit.page}`,
      hit.headings.join(" › ") || null,
    ];
    return html`<li class="card hit">
      <h2><a href=${href({ at: "chunks", slug: this.slug, documentId: hit.document_id })}><bdi>${hit.title || hit.filename}</bdi></a></h2>
      <p class="place" dir="auto">${place.filter((part) => part !== null).join(" · ")}</p>
      <span class="score">
        <span><span class="unseen">Score </span>${hit.score.toFixed(3)}</span>
        <meter min="0" max="1" value=${Math.max(0, Math.min(1, hit.score))} aria-hidden="true"></meter>
      </span>
      <p class="text" dir="auto">${hit.text}</p>
    </li>`;
  }

  #onSubmit(event: Event) {
    event.preventDefault();
    void this.#search();
  }

  #onAnswer() {
    if (this.input.form?.reportValidity()) void this.#answer();
  }

  #search(): Promise<void> {
    return this.#find(async (question) => {
      this.answer = await this.api.search(question, this.slug, Number(this.limit.value));
      this.traced = null;
    });
  }

  #answer(): Promise<void> {
    return this.#find(async (question) => {
      this.traced = await this.api.askTraced(question, this.slug);
    });
  }

  async #find(fetch: (question: string) => Promise<void>) {
    const question = this.input.value.trim();
    if (question === "") return;
    this.searching = true;
    // The question becomes part of the address, to be linked to; that is no new place.
    history.replaceState(null, "", href({ at: "search", slug: this.slug, query: question }));
    try {
      await fetch(question);
      this.error = undefined;
    } catch (error) {
      this.error = error;
    } finally {
      this.searching = false;
    }
  }
}

function titles(found: readonly (SearchHit | Source)[]): ReadonlyMap<string, string> {
  return new Map(found.map(({ chunk_id, title, filename }) => [chunk_id, title || filename]));
}

/** What a chat is answered, and what it rests on. */
function turn({ answer, finish_reason, model, sources, trace }: TracedAnswer): TemplateResult {
  const facts = [`Ended with “${finish_reason}”`, model === "" ? null : `answered by ${model}`];
  if (trace)
    facts.push(
      `searched for “${trace.query}”`,
      trace.answerable === null ? "nothing was found" : `answerable: ${trace.answerable.toFixed(3)}`,
      `refused below ${trace.refusal_score.toFixed(3)}`,
    );
  return html`
    <p class="facts" dir="auto">${facts.filter((fact) => fact !== null).join(" · ")}</p>
    <div class="card"><p class="text" dir="auto">${answer}</p></div>
    ${trace ? html`<h2 class="how">How its sources were found</h2>${traceTable(trace.hits, titles(sources))}` : nothing}
  `;
}

function hint(): TemplateResult {
  return html`<div class="empty">${searchIcon}<strong>See what a question finds</strong>
    <p>The chunks that an answer could rest on, the nearest first.</p></div>`;
}
