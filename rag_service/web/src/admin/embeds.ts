/** Embeds: where the chat may appear, and the snippet that puts it there. */

import { css, html, LitElement, nothing, type TemplateResult } from "lit";
import { property, query, state } from "lit/decorators.js";

import { define } from "../define";
import { codeIcon, trashIcon } from "../icons";
import { shared } from "../theme";
import type { AdminApi } from "./client";
import "./confirm";
import type { ConfirmDialog } from "./confirm";
import { Creating } from "./creating";
import { NoticeEvent } from "./events";
import { day } from "./format";
import { failure, Load } from "./load";
import "./snippet";
import { consoleStyles } from "./styles";
import type { Embed } from "./types";

/** The embed of the chat page that the server itself has. */
const HOME = "home";

@define("rag-embeds")
export class Embeds extends LitElement {
  static override styles = [
    shared,
    consoleStyles,
    css`
      .create {
        margin-block-end: 20px;
      }
      ul {
        display: grid;
        gap: 14px;
        margin: 0;
        padding: 0;
        list-style: none;
      }
      .embed {
        display: grid;
        gap: 12px;
      }
      .top {
        display: flex;
        align-items: flex-start;
        justify-content: space-between;
        gap: 12px;
      }
      h2 {
        margin: 0;
      }
      .top p {
        margin: 2px 0 0;
        color: var(--muted);
        font-size: 0.9em;
      }
      .origins {
        display: flex;
        flex-wrap: wrap;
        gap: 6px;
        margin: 0;
        padding: 0;
        list-style: none;
      }
      .origins li {
        padding: 2px 10px;
        border-radius: 8px;
        background: var(--sunken);
        font: 0.8125em / 1.7 var(--mono);
        overflow-wrap: anywhere;
      }
      .own {
        margin: 0;
      }
      .new {
        border-color: var(--accent);
      }
    `,
  ];

  @property({ attribute: false }) api!: AdminApi;

  @state() private made: string | null = null;

  @query("#name") private nameInput!: HTMLInputElement;
  @query("#base") private baseInput!: HTMLSelectElement;
  @query("#origins") private originsInput!: HTMLTextAreaElement;
  @query("rag-confirm") private confirmation!: ConfirmDialog;

  readonly #list = new Load(this, () => this.api.embeds());
  readonly #creating = new Creating(this, "embed", () => this.#create());
  readonly #bases = new Load(this, () => this.api.knowledgeBases());

  override render() {
    return html`
      <div class="heading">
        <div>
          <h1 tabindex="-1">Embeds</h1>
          <p>An embed puts the chat on pages of the sites you name.</p>
        </div>
        ${this.#creating.button()}
      </div>
      ${this.#creating.form(() => this.#fields())}
      ${this.#list.view(({ items }) =>
        items.length > 0
          ? html`<ul>
              ${items.map((embed) => this.#embed(embed))}
            </ul>`
          : html`<div class="empty">${codeIcon}<strong>There is no embed yet</strong>
              <p>Make one, and put its snippet into the pages where the chat should appear.</p></div>`,
      )}
      <rag-confirm></rag-confirm>
    `;
  }

  #embed(embed: Embed): TemplateResult {
    return html`<li class="card embed ${embed.id === this.made ? "new" : ""}">
      <div class="top">
        <div>
          <h2>${embed.name}</h2>
          <p>Asks <span class="mono">${embed.knowledge_base}</span> · since ${day(embed.created_at)}</p>
        </div>
        <button
          type="button"
          class="icon-button"
          aria-label=${`Revoke ${embed.name}`}
          title="Revoke"
          @click=${() => this.#revoke(embed)}
        >
          ${trashIcon}
        </button>
      </div>
      ${embed.id === HOME ? html`<p class="own">It is for one page alone, <a href="/">this server's own</a>.</p>` : placement(embed)}
    </li>`;
  }

  #fields(): TemplateResult {
    const bases = this.#bases.value?.items ?? [];
    return html`<div class="row">
        <div class="field">
          <label>
            Name
            <input id="name" required maxlength="200" autocomplete="off" aria-describedby="name-hint" />
          </label>
          <span id="name-hint" class="hint">Stands above the chat.</span>
        </div>
        <div class="field">
          <label for="base">Knowledge base</label>
          <select id="base" required>
            ${bases.map((base) => html`<option value=${base.slug}>${base.name}</option>`)}
          </select>
        </div>
      </div>
      <div class="field">
        <label>
          Allowed origins
          <textarea
            id="origins"
            required
            rows="3"
            spellcheck="false"
            autocapitalize="off"
            placeholder="https://www.example.org"
            aria-describedby="origins-hint"
          ></textarea>
        </label>
        <span id="origins-hint" class="hint">One a line, as browsers name a site: scheme, host, and the port if it has one. No path.</span>
      </div>
      ${this.#bases.error === undefined ? nothing : failure(this.#bases.error, () => this.#bases.run())}`;
  }

  async #create() {
    const origins = this.originsInput.value.split(/[\s,;]+/).filter((origin) => origin !== "");
    const made = await this.api.createEmbed(this.nameInput.value, this.baseInput.value, origins);
    this.made = made.id;
    await this.#list.run();
    this.dispatchEvent(new NoticeEvent(`“${made.name}” is there. Put its snippet into your pages.`));
  }

  #revoke(embed: Embed) {
    void this.confirmation.ask({
      title: `Revoke “${embed.name}”?`,
      text: "The chat stops working at once on every page that has this snippet. This cannot be undone.",
      action: "Revoke",
      run: async () => {
        await this.api.revokeEmbed(embed.id);
        this.dispatchEvent(new NoticeEvent(`“${embed.name}” was revoked.`));
        await this.#list.run();
      },
    });
  }
}

function placement(embed: Embed): TemplateResult {
  return html`
    ${
      embed.origins.length > 0
        ? html`<ul class="origins" aria-label="Allowed origins">
            ${embed.origins.map((origin) => html`<li>${origin}</li>`)}
          </ul>`
        : html`<p class="own muted">No origin is allowed: the chat appears nowhere.</p>`
    }
    <rag-snippet code=${embed.snippet}></rag-snippet>
  `;
}
