/** Asks before something is done that cannot be undone. */

import { css, html, LitElement } from "lit";
import { query, state } from "lit/decorators.js";

import { define } from "../define";
import { shared } from "../theme";
import { failure } from "./load";
import { consoleStyles } from "./styles";

export interface Confirmation {
  title: string;
  text: string;
  action: string;
  /** Done when confirmed; while it runs the dialog stays, and if it fails the dialog says why. */
  run(): Promise<void>;
}

@define("rag-confirm")
export class ConfirmDialog extends LitElement {
  static override styles = [
    shared,
    consoleStyles,
    css`
      dialog {
        inline-size: min(440px, 100vw - 32px);
        padding: 24px;
        border: 1px solid var(--line);
        border-radius: 16px;
        background: var(--surface);
        box-shadow: var(--shadow);
        color: var(--text);
      }
      dialog::backdrop {
        background: rgb(0 0 0 / 45%);
      }
      h2 {
        margin: 0 0 8px;
        font-size: 1.15em;
        overflow-wrap: anywhere;
      }
      p {
        margin: 0 0 20px;
        color: var(--muted);
      }
      .choices {
        display: flex;
        flex-wrap: wrap;
        justify-content: flex-end;
        gap: 10px;
      }
    `,
  ];

  @state() private asked: Confirmation | null = null;
  @state() private running = false;
  @state() private error: unknown;

  @query("dialog") private dialog!: HTMLDialogElement;

  async ask(asked: Confirmation): Promise<void> {
    this.asked = asked;
    this.error = undefined;
    await this.updateComplete;
    this.dialog.showModal();
  }

  override render() {
    return html`
      <dialog aria-labelledby="title" aria-describedby="text">
        <h2 id="title">${this.asked?.title}</h2>
        <p id="text">${this.asked?.text}</p>
        ${this.error === undefined ? "" : failure(this.error)}
        <div class="choices">
          <button type="button" class="button" @click=${this.#close}>Cancel</button>
          <button type="button" class="button danger" ?disabled=${this.running} @click=${this.#run}>${this.asked?.action}</button>
        </div>
      </dialog>
    `;
  }

  #close() {
    this.dialog.close();
  }

  async #run() {
    this.running = true;
    try {
      await this.asked?.run();
      this.dialog.close();
    } catch (error) {
      this.error = error;
    } finally {
      this.running = false;
    }
  }
}

declare global {
  interface HTMLElementTagNameMap {
    "rag-confirm": ConfirmDialog;
  }
}
