/** A form in which something is made: a button opens it, and why the last try failed stands below its fields. */

import { html, type LitElement, nothing, type ReactiveController, type TemplateResult } from "lit";

import { plusIcon } from "../icons";
import { failure } from "./load";

export class Creating implements ReactiveController {
  open = false;
  #saving = false;
  #error: unknown;

  /** `what` is made by `make`, which reads the fields; it throws what the server has against them. */
  constructor(
    private readonly host: LitElement,
    private readonly what: string,
    private readonly make: () => Promise<void>,
  ) {
    host.addController(this);
  }

  hostConnected(): void {
    this.open = false;
  }

  /** The button that opens the form; nothing while it is open. */
  button(): TemplateResult | typeof nothing {
    return this.open
      ? nothing
      : html`<button type="button" class="button primary" @click=${this.#start}>${plusIcon} New ${this.what}</button>`;
  }

  /** The form around its fields; nothing while it is closed. */
  form(fields: () => TemplateResult): TemplateResult | typeof nothing {
    if (!this.open) return nothing;
    return html`<form class="card create" aria-label="New ${this.what}" @submit=${this.#submit}>
      <h2>New ${this.what}</h2>
      ${fields()} ${this.#error === undefined ? nothing : failure(this.#error)}
      <div class="actions">
        <button type="submit" class="button primary" ?disabled=${this.#saving}>Create</button>
        <button type="button" class="button" @click=${this.#close}>Cancel</button>
      </div>
    </form>`;
  }

  readonly #start = async () => {
    this.open = true;
    this.#error = undefined;
    this.host.requestUpdate();
    await this.host.updateComplete;
    this.host.renderRoot.querySelector<HTMLElement>("form.create input")?.focus();
  };

  readonly #close = () => {
    this.open = false;
    this.host.requestUpdate();
  };

  readonly #submit = async (event: Event) => {
    event.preventDefault();
    this.#saving = true;
    this.host.requestUpdate();
    try {
      await this.make();
      this.open = false;
    } catch (error) {
      this.#error = error;
    } finally {
      this.#saving = false;
      this.host.requestUpdate();
    }
  };
}
