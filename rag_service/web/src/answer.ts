/** Shows one answer: Markdown as it streams in, its citation marks as buttons. */

import { css, html, LitElement, type PropertyValues } from "lit";
import { property, query } from "lit/decorators.js";

import type { Mark } from "./citations";
import { define } from "./define";
import type { Strings } from "./i18n";
import { render } from "./markdown";
import { morph } from "./morph";
import { prose } from "./prose";
import { shared } from "./theme";
import type { Citation, Source } from "./types";

/** Somebody wants to see what stands behind a mark. `opener` gets the focus back. */
export class OpenMarkEvent extends Event {
  static readonly type = "rag-open-mark";

  constructor(
    readonly mark: Mark,
    readonly opener: HTMLElement,
  ) {
    super(OpenMarkEvent.type, { bubbles: true, composed: true });
  }
}

@define("rag-answer")
export class AnswerElement extends LitElement {
  static override styles = [
    shared,
    prose,
    css`
      :host {
        display: block;
      }
    `,
  ];

  @property({ attribute: false }) text = "";
  @property({ attribute: false }) sources: readonly Source[] = [];
  @property({ attribute: false }) citations: readonly Citation[] = [];
  @property({ attribute: false }) finished = false;
  @property({ attribute: false }) quoted = false;
  @property({ attribute: false }) strings!: Strings;

  @query(".prose") private container!: HTMLElement;
  #marks: readonly Mark[] = [];

  override render() {
    return html`<div class="prose" @click=${this.#onClick}></div>`;
  }

  override updated(changed: PropertyValues<this>) {
    super.updated(changed);
    const { table, code, source } = this.strings;
    const { text, sources, citations, finished, quoted } = this;
    const { nodes, marks } = render(
      { text, sources, citations, finished, quoted },
      {
        table,
        code,
        source: (mark) => source(mark.number, mark.source.title || mark.source.filename),
      },
    );
    this.#marks = marks;
    morph(this.container, nodes);
  }

  readonly #onClick = (event: Event) => {
    const button = (event.target as Element).closest<HTMLButtonElement>("button.mark");
    const mark = this.#marks[Number(button?.dataset.mark)];
    if (button && mark) this.dispatchEvent(new OpenMarkEvent(mark, button));
  };
}

declare global {
  interface HTMLElementTagNameMap {
    "rag-answer": AnswerElement;
  }
}
