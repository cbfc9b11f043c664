/** The passage that a citation rests on: its title, its place, its words. Words of documents are text, never markup. */

import { css, html, LitElement, nothing } from "lit";
import { property, query } from "lit/decorators.js";

import { type Mark, passage } from "./citations";
import { define } from "./define";
import type { Strings } from "./i18n";
import { closeIcon, documentIcon } from "./icons";
import { shared } from "./theme";

@define("rag-quote")
export class QuoteDrawer extends LitElement {
  static override styles = [
    shared,
    css`
      :host {
        display: block;
      }
      section {
        display: flex;
        flex-direction: column;
        block-size: 100%;
        outline: none;
      }
      header {
        display: flex;
        align-items: center;
        justify-content: space-between;
        gap: 8px;
        padding: 10px 12px 10px 20px;
        padding-inline: 20px 12px;
      }
      h2 {
        margin: 0;
        color: var(--muted);
        font-size: 0.875em;
        font-weight: 600;
      }
      .body {
        flex: 1;
        overflow: auto;
        overscroll-behavior: contain;
        padding-block: 0 20px;
        padding-inline: 20px;
        padding-block-end: max(20px, env(safe-area-inset-bottom));
      }
      h3 {
        margin: 0 0 6px;
        font-size: 1.06em;
        font-weight: 650;
        line-height: 1.35;
        overflow-wrap: anywhere;
      }
      .place {
        display: flex;
        flex-wrap: wrap;
        align-items: center;
        gap: 2px 8px;
        margin: 0 0 4px;
        color: var(--muted);
        font-size: 0.875em;
        overflow-wrap: anywhere;
      }
      .headings {
        margin: 0;
        color: var(--muted);
        font-size: 0.875em;
        overflow-wrap: anywhere;
      }
      blockquote {
        margin: 16px 0;
        padding: 14px 16px;
        border-inline-start: 3px solid var(--accent);
        border-radius: 4px var(--radius-small) var(--radius-small) 4px;
        background: var(--sunken);
        line-height: 1.6;
        white-space: pre-wrap;
        overflow-wrap: anywhere;
      }
      summary {
        inline-size: fit-content;
        padding-block: 8px;
        border-radius: 4px;
        color: var(--accent);
        font-size: 0.94em;
        font-weight: 550;
        cursor: pointer;
      }
      .passage {
        margin: 8px 0 0;
        font-size: 0.94em;
        line-height: 1.6;
        white-space: pre-wrap;
        overflow-wrap: anywhere;
      }
      mark {
        padding-block: 0.1em;
        border-radius: 3px;
        background: var(--highlight);
        color: inherit;
      }
    `,
  ];

  @property({ attribute: false }) mark!: Mark;
  @property({ attribute: false }) strings!: Strings;
  @property({ type: Boolean }) modal = false;

  @query("section") private section!: HTMLElement;

  override firstUpdated() {
    this.section.focus({ preventScroll: true });
  }

  override render() {
    const { strings, mark } = this;
    const { source, citation } = mark;
    const { before, quote, after } = passage(mark);
    const page = citation?.page ?? source.page;
    const title = source.title || source.filename;
    const headings = source.headings.join(" › ");
    return html`
      <section role="dialog" aria-modal=${this.modal ? "true" : nothing} aria-labelledby="heading title" tabindex="-1">
        <header>
          <h2 id="heading">${strings.quoteHeading(mark.number)}</h2>
          <button type="button" class="icon-button" aria-label=${strings.close} title=${strings.close} @click=${this.#close}>
            ${closeIcon}
          </button>
        </header>
        <div class="body" tabindex="0" role="group" aria-labelledby="title">
          <h3 id="title"><bdi>${title}</bdi></h3>
          <p class="place">
            ${documentIcon}<bdi>${source.filename}</bdi>${page === null ? nothing : html`<span aria-hidden="true">·</span><span>${strings.page(page)}</span>`}
          </p>
          ${source.widens ? html`<p class="headings">${strings.nextTo(source.widens)}</p>` : nothing}
          ${headings !== "" && headings !== title ? html`<p class="headings"><bdi>${headings}</bdi></p>` : nothing}
          ${
            quote
              ? html`
                  <blockquote dir="auto">${quote}</blockquote>
                  ${
                    before.trim() || after.trim()
                      ? html`<details>
                          <summary>${strings.wholePassage}</summary>
                          <p class="passage" dir="auto">${before}<mark>${quote}</mark>${after}</p>
                        </details>`
                      : nothing
                  }
                `
              : html`<blockquote dir="auto" aria-label=${strings.passage}>${before}</blockquote>`
          }
        </div>
      </section>
    `;
  }

  #close() {
    this.dispatchEvent(new Event("close"));
  }
}

declare global {
  interface HTMLElementTagNameMap {
    "rag-quote": QuoteDrawer;
  }
}
