/** API keys: made, shown once, rotated, revoked. */

import { css, html, LitElement, nothing, type TemplateResult } from "lit";
import { property, query, state } from "lit/decorators.js";
import { repeat } from "lit/directives/repeat.js";

import { define } from "../define";
import { trashIcon } from "../icons";
import { shared } from "../theme";
import type { AdminApi } from "./client";
import "./confirm";
import type { ConfirmDialog } from "./confirm";
import { Creating } from "./creating";
import { NoticeEvent } from "./events";
import { day } from "./format";
import { failure, Load, Pages } from "./load";
import "./snippet";
import { consoleStyles } from "./styles";
import { tableStyles } from "./table-styles";
import type { ApiKey, NewApiKey } from "./types";

@define("rag-keys")
export class Keys extends LitElement {
  static override styles = [
    shared,
    consoleStyles,
    tableStyles,
    css`
      .create,
      .shown {
        margin-block-end: 20px;
      }
      .shown {
        display: grid;
        gap: 10px;
        border-color: var(--accent);
      }
      .shown p {
        margin: 0;
      }
    `,
  ];

  @property({ attribute: false }) api!: AdminApi;

  @state() private shown: NewApiKey | null = null;

  @query("#name") private nameInput!: HTMLInputElement;
  @query("#role") private roleInput!: HTMLSelectElement;
  @query("#bases") private basesInput!: HTMLSelectElement;
  @query("#ends") private endsInput!: HTMLInputElement;
  @query("rag-confirm") private confirmation!: ConfirmDialog;

  readonly #list = new Pages(this, (cursor) => this.api.keys(cursor));
  readonly #creating = new Creating(this, "key", () => this.#create());
  readonly #bases = new Load(this, () => this.api.knowledgeBases());

  override render() {
    return html`
      <div class="heading">
        <div>
          <h1 tabindex="-1">Keys</h1>
          <p>A key proves who calls the API, and says what they may do.</p>
        </div>
        ${this.#creating.button()}
      </div>
      ${this.#creating.form(() => this.#fields())} ${this.shown ? this.#once(this.shown) : nothing}
      ${this.#list.view((items) => this.#table(items))}
      <rag-confirm></rag-confirm>
    `;
  }

  #once(key: NewApiKey): TemplateResult {
    return html`<div class="card shown" role="status">
      <p><strong>Keep the text of “${key.name}” now: it is not shown again.</strong></p>
      <rag-snippet code=${key.key} label="Copy the key"></rag-snippet>
    </div>`;
  }

  #table(items: readonly ApiKey[]): TemplateResult {
    return html`
      <div class="table">
        <table role="table" aria-label="Keys">
          <thead role="rowgroup">
            <tr role="row">
              <th role="columnheader" scope="col">Key</th>
              <th role="columnheader" scope="col">Role</th>
              <th role="columnheader" scope="col">Knowledge bases</th>
              <th role="columnheader" scope="col">Ends</th>
              <th role="columnheader" scope="col">Last used</th>
              <th role="columnheader" scope="col"><span class="unseen">Rotate and revoke</span></th>
            </tr>
          </thead>
          <tbody role="rowgroup">
            ${repeat(
              items,
              ({ id }) => id,
              (key) => this.#row(key),
            )}
          </tbody>
        </table>
      </div>
    `;
  }

  #row(key: ApiKey): TemplateResult {
    const ends = key.revoked_at
      ? `Revoked ${day(key.revoked_at)}`
      : key.expires_at
        ? day(key.expires_at)
        : "–";
    return html`<tr role="row">
      <td role="cell" class="main">
        <bdi>${key.name}</bdi>
        <div class="muted small mono">${key.prefix}</div>
      </td>
      <td role="cell" data-label="Role">${key.role}</td>
      <td role="cell" data-label="Knowledge bases">${key.knowledge_bases.join(", ") || "all"}</td>
      <td role="cell" data-label="Ends" class="when">${ends}</td>
      <td role="cell" data-label="Last used" class="when">${key.last_used_at ? day(key.last_used_at) : "–"}</td>
      <td role="cell" class="last">${key.revoked_at ? nothing : this.#actions(key)}</td>
    </tr>`;
  }

  #actions(key: ApiKey): TemplateResult {
    return html`<button type="button" class="button" aria-label=${`Rotate ${key.name}`} @click=${() => this.#rotate(key)}>
        Rotate
      </button>
      <button
        type="button"
        class="icon-button"
        aria-label=${`Revoke ${key.name}`}
        title="Revoke"
        @click=${() => this.#revoke(key)}
      >
        ${trashIcon}
      </button>`;
  }

  #fields(): TemplateResult {
    const bases = this.#bases.value?.items ?? [];
    return html`<div class="row">
        <div class="field">
          <label>
            Name
            <input id="name" required maxlength="200" autocomplete="off" aria-describedby="name-hint" />
          </label>
          <span id="name-hint" class="hint">What or whom it is for.</span>
        </div>
        <div class="field">
          <label for="role">Role</label>
          <select id="role">
            <option value="chat">chat: asks</option>
            <option value="evaluator">evaluator: asks, searches and reads</option>
            <option value="admin">admin: may do everything</option>
          </select>
        </div>
      </div>
      <div class="row">
        <div class="field">
          <label for="bases">Knowledge bases</label>
          <select id="bases" multiple size="3" aria-describedby="bases-hint">
            ${bases.map((base) => html`<option value=${base.slug}>${base.name}</option>`)}
          </select>
          <span id="bases-hint" class="hint">None chosen: all. An admin key is always for all.</span>
        </div>
        <div class="field">
          <label>
            Ends
            <input id="ends" type="datetime-local" aria-describedby="ends-hint" />
          </label>
          <span id="ends-hint" class="hint">Left empty: it lasts until it is revoked.</span>
        </div>
      </div>
      ${this.#bases.error === undefined ? nothing : failure(this.#bases.error, () => this.#bases.run())}`;
  }

  async #create() {
    const ends = this.endsInput.value;
    this.shown = await this.api.createKey({
      name: this.nameInput.value,
      role: this.roleInput.value,
      knowledge_bases: Array.from(this.basesInput.selectedOptions, ({ value }) => value),
      expires_at: ends === "" ? null : new Date(ends).toISOString(),
    });
    await this.#list.run();
  }

  #rotate(key: ApiKey) {
    void this.confirmation.ask({
      title: `Rotate “${key.name}”?`,
      text: "It gets a new text. The old one works for another 24 hours; its conversations stay its own.",
      action: "Rotate",
      run: async () => {
        this.shown = await this.api.rotateKey(key.id);
        await this.#list.run();
      },
    });
  }

  #revoke(key: ApiKey) {
    void this.confirmation.ask({
      title: `Revoke “${key.name}”?`,
      text: "Whoever uses it is refused at once. This cannot be undone.",
      action: "Revoke",
      run: async () => {
        await this.api.revokeKey(key.id);
        if (this.shown?.id === key.id) this.shown = null;
        this.dispatchEvent(new NoticeEvent(`“${key.name}” was revoked.`));
        await this.#list.run();
      },
    });
  }
}
