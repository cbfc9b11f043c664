/** Above everything that belongs to one knowledge base: its name, and the ways to its places. */

import { css, html, LitElement, nothing } from "lit";
import { property } from "lit/decorators.js";

import { define } from "../define";
import { backIcon } from "../icons";
import { shared } from "../theme";
import type { AdminApi } from "./client";
import { Load } from "./load";
import { href } from "./router";
import { consoleStyles } from "./styles";

@define("rag-base-heading")
export class BaseHeading extends LitElement {
  static override styles = [
    shared,
    consoleStyles,
    css`
      nav {
        display: flex;
        gap: 4px;
        margin-block: 14px 20px;
        border-block-end: 1px solid var(--line);
      }
      nav a {
        margin-block-end: -1px;
        padding: 10px 14px;
        border-block-end: 2px solid transparent;
        color: var(--muted);
        font-weight: 560;
        text-decoration: none;
      }
      @media (max-width: 620px) {
        nav a {
          padding-inline: 8px;
        }
      }
      nav a:hover {
        color: var(--text);
      }
      nav a[aria-current] {
        border-color: var(--accent);
        color: var(--text);
      }
    `,
  ];

  @property({ attribute: false }) api!: AdminApi;
  @property() slug = "";
  @property() tab: "documents" | "search" | "unanswered" = "documents";

  readonly #name = new Load(this, async () => {
    const { items } = await this.api.knowledgeBases();
    return items.find((base) => base.slug === this.slug)?.name ?? null;
  });

  override render() {
    const { slug, tab } = this;
    return html`
      <a class="back" href=${href({ at: "bases" })}>${backIcon} Knowledge bases</a>
      <h1 tabindex="-1">${this.#name.value ?? slug}</h1>
      <nav aria-label="Knowledge base">
        ${(
          [
            ["documents", "Documents", href({ at: "documents", slug })],
            ["search", "Search", href({ at: "search", slug, query: "" })],
            ["unanswered", "Unanswered", href({ at: "unanswered", slug })],
          ] as const
        ).map(
          ([name, label, address]) =>
            html`<a href=${address} aria-current=${tab === name ? "page" : nothing}>${label}</a>`,
        )}
      </nav>
    `;
  }
}
