/** The knowledge bases: a card each, and a form for a new one. */

import { css, html, LitElement } from "lit";
import { property, query } from "lit/decorators.js";

import { define } from "../define";
import { booksIcon } from "../icons";
import { shared } from "../theme";
import type { AdminApi } from "./client";
import { Creating } from "./creating";
import { NoticeEvent } from "./events";
import { count, day } from "./format";
import { Load } from "./load";
import { href } from "./router";
import { consoleStyles } from "./styles";
import type { KnowledgeBase } from "./types";

@define("rag-bases")
export class Bases extends LitElement {
  static override styles = [
    shared,
    consoleStyles,
    css`
      ul {
        display: grid;
        grid-template-columns: repeat(auto-fill, minmax(min(280px, 100%), 1fr));
        gap: 14px;
        margin: 0;
        padding: 0;
        list-style: none;
      }
      li a {
        display: grid;
        gap: 4px;
        block-size: 100%;
        padding: 18px 20px;
        border: 1px solid var(--line);
        border-radius: var(--radius);
        background: var(--surface);
        color: var(--text);
        text-decoration: none;
        transition:
          border-color var(--quick) var(--ease),
          box-shadow var(--quick) var(--ease);
      }
      li a:hover {
        border-color: var(--accent);
        box-shadow: var(--shadow-small);
      }
      .name {
        font-size: 1.06em;
        font-weight: 640;
        overflow-wrap: anywhere;
      }
      .facts {
        margin-block-start: 10px;
        color: var(--muted);
        font-size: 0.9em;
      }
      .create {
        margin-block-end: 20px;
      }
    `,
  ];

  @property({ attribute: false }) api!: AdminApi;

  @query("#name") private nameInput!: HTMLInputElement;
  @query("#slug") private slugInput!: HTMLInputElement;

  readonly #list = new Load(this, () => this.api.knowledgeBases());
  readonly #creating = new Creating(this, "knowledge base", () => this.#create());

  override render() {
    return html`
      <div class="heading">
        <div>
          <h1 tabindex="-1">Knowledge bases</h1>
          <p>Each question is asked of one of them.</p>
        </div>
        ${this.#creating.button()}
      </div>
      ${this.#creating.form(() => this.#fields())}
      ${this.#list.view(({ items }) =>
        items.length > 0
          ? html`<ul>
              ${items.map((base) => this.#card(base))}
            </ul>`
          : html`<div class="empty">${booksIcon}<strong>There is no knowledge base yet</strong>
              <p>Make one, then upload documents into it.</p></div>`,
      )}
    `;
  }

  #card(base: KnowledgeBase) {
    return html`<li>
      <a href=${href({ at: "documents", slug: base.slug })}>
        <span class="name">${base.name}</span>
        <span class="mono muted">${base.slug}</span>
        <span class="facts">${count(base.documents, "document")} · since ${day(base.created_at)}</span>
      </a>
    </li>`;
  }

  #fields() {
    return html`<div class="row">
        <label>
          Name
          <input id="name" required maxlength="200" autocomplete="off" @input=${this.#suggest} />
        </label>
        <div class="field">
          <label>
            Short name
            <input
              id="slug"
              required
              maxlength="63"
              pattern="[a-z0-9]([a-z0-9\\-]*[a-z0-9])?"
              title="Small letters a to z, digits and hyphens; a letter or digit at both ends"
              autocomplete="off"
              autocapitalize="off"
              spellcheck="false"
              aria-describedby="slug-hint"
              @input=${this.#onSlug}
            />
          </label>
          <span id="slug-hint" class="hint">Stands in addresses and in the API, and cannot be changed: small letters, digits, hyphens.</span>
        </div>
      </div>`;
  }

  #onSlug() {
    this.slugInput.toggleAttribute("data-theirs", this.slugInput.value !== "");
  }

  /** A short name made of the name, for as long as nobody wrote another. */
  #suggest() {
    if (this.slugInput.hasAttribute("data-theirs")) return;
    const plain = this.nameInput.value.normalize("NFKD").toLowerCase().replace(/\p{M}/gu, "");
    this.slugInput.value = plain
      .replace(/[^a-z0-9]+/g, "-")
      .slice(0, 63)
      .replace(/^-+|-+$/g, "");
  }

  async #create() {
    const made = await this.api.createKnowledgeBase(this.slugInput.value, this.nameInput.value);
    this.dispatchEvent(new NoticeEvent(`“${made.name}” is there. Now upload documents into it.`));
    location.hash = href({ at: "documents", slug: made.slug });
  }
}
