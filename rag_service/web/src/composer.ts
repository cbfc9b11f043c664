/** Where a question is written. Enter sends, Shift and Enter begins a line, and while an answer comes it can be stopped. */

import { css, html, LitElement, nothing } from "lit";
import { property, query, state } from "lit/decorators.js";

import { define } from "./define";
import type { Strings } from "./i18n";
import { sendIcon, stopIcon } from "./icons";
import { shared } from "./theme";

const LONGEST = 4000;
const TALLEST = 180;

export class AskEvent extends Event {
  static readonly type = "rag-ask";

  constructor(readonly question: string) {
    super(AskEvent.type);
  }
}

@define("rag-composer")
export class Composer extends LitElement {
  static override styles = [
    shared,
    css`
      :host {
        display: block;
      }
      form {
        display: flex;
        align-items: flex-end;
        gap: 6px;
        padding: 6px;
        border: 1px solid var(--line-strong);
        border-radius: 16px;
        background: var(--surface);
        transition: border-color var(--quick) var(--ease);
      }
      form:focus-within {
        border-color: var(--accent);
        box-shadow: 0 0 0 1px var(--accent);
      }
      textarea {
        flex: 1;
        min-inline-size: 0;
        block-size: 40px;
        max-block-size: 180px;
        padding: 8px 10px;
        border: 0;
        background: none;
        font-size: max(1em, 16px); /* a smaller one makes phones zoom in */
        line-height: 24px;
        resize: none;
      }
      textarea:focus-visible {
        outline: none; /* the form around it shows the focus */
      }
      textarea::placeholder {
        color: var(--muted);
        opacity: 1;
      }
      button {
        display: grid;
        place-items: center;
        inline-size: 40px;
        block-size: 40px;
        padding: 0;
        border: 0;
        border-radius: 11px;
        background: var(--accent);
        color: var(--on-accent);
        transition: background-color var(--quick) var(--ease);
      }
      button:hover:not(:disabled) {
        background: var(--accent-hover);
      }
      button:disabled {
        background: var(--sunken);
        color: var(--muted);
      }
      @media (forced-colors: active) {
        button {
          border: 1px solid;
        }
      }
      .over {
        margin: 6px 10px 0;
        color: var(--danger);
        font-size: 0.875em;
      }
    `,
  ];

  @property({ attribute: false }) strings!: Strings;
  @property({ type: Boolean }) busy = false;
  @property({ type: Boolean }) disabled = false;
  @state() private value = "";

  @query("textarea") private area!: HTMLTextAreaElement;

  override focus() {
    this.area?.focus({ preventScroll: true });
  }

  override render() {
    const { strings } = this;
    const over = [...this.value.trim()].length - LONGEST;
    return html`
      <form @submit=${this.#onSubmit}>
        <textarea
          rows="1"
          dir=${this.value === "" ? nothing : "auto"}
          enterkeyhint="send"
          .value=${this.value}
          ?disabled=${this.disabled}
          placeholder=${strings.messagePlaceholder}
          aria-label=${strings.messageLabel}
          aria-invalid=${over > 0 ? "true" : nothing}
          aria-describedby=${over > 0 ? "over" : nothing}
          @input=${this.#onInput}
          @keydown=${this.#onKey}
        ></textarea>
        ${
          this.busy
            ? html`<button type="button" aria-label=${strings.stop} title=${strings.stop} @click=${this.#stop}>${stopIcon}</button>`
            : html`<button type="submit" aria-label=${strings.send} title=${strings.send} ?disabled=${!this.#ready(over)}>
                ${sendIcon}
              </button>`
        }
      </form>
      <div aria-live="polite">${over > 0 ? html`<p id="over" class="over">${strings.tooLong(over)}</p>` : nothing}</div>
    `;
  }

  #ready(over: number): boolean {
    return !this.disabled && over <= 0 && this.value.trim() !== "";
  }

  readonly #onInput = () => {
    this.value = this.area.value;
    this.#fit();
  };

  readonly #onKey = (event: KeyboardEvent) => {
    // Enter also ends a word being composed, in many scripts.
    if (event.key !== "Enter" || event.shiftKey || event.isComposing || event.keyCode === 229) return;
    event.preventDefault();
    this.#submit();
  };

  readonly #onSubmit = (event: Event) => {
    event.preventDefault();
    this.#submit();
  };

  #submit() {
    const question = this.value.trim();
    if (this.busy || !this.#ready([...question].length - LONGEST)) return;
    this.value = "";
    void this.updateComplete.then(() => this.#fit());
    this.dispatchEvent(new AskEvent(question));
  }

  #stop() {
    this.dispatchEvent(new Event("rag-stop"));
    this.focus(); // the button that had the focus goes away
  }

  #fit() {
    this.area.style.blockSize = "auto";
    this.area.style.blockSize = `${Math.min(this.area.scrollHeight, TALLEST)}px`;
  }
}

declare global {
  interface HTMLElementTagNameMap {
    "rag-composer": Composer;
  }
}
