/** Code to copy. */

import { css, html, LitElement } from "lit";
import { property, query, state } from "lit/decorators.js";

import { define } from "../define";
import { checkIcon, copyIcon } from "../icons";
import { shared } from "../theme";
import { consoleStyles } from "./styles";

@define("rag-snippet")
export class Snippet extends LitElement {
  static override styles = [
    shared,
    consoleStyles,
    css`
      div {
        display: flex;
        align-items: center;
        gap: 8px;
        padding: 4px 4px 4px 12px;
        padding-inline: 12px 4px;
        border: 1px solid var(--line);
        border-radius: var(--radius-small);
        background: var(--sunken);
      }
      code {
        flex: 1;
        min-inline-size: 0;
        padding-block: 6px;
        overflow-wrap: anywhere;
        font: 0.8125em / 1.5 var(--mono);
      }
      .icon-button:hover {
        background: var(--line);
      }
    `,
  ];

  @property() code = "";
  @property() label = "Copy the snippet";
  @state() private copied = false;
  @query("code") private shown!: HTMLElement;

  override render() {
    return html`<div>
      <code dir="ltr" translate="no">${this.code}</code>
      <button type="button" class="icon-button" aria-label=${this.label} title="Copy" @click=${this.#copy}>
        ${this.copied ? checkIcon : copyIcon}
      </button>
      <span class="unseen" role="status">${this.copied ? "Copied" : ""}</span>
    </div>`;
  }

  async #copy() {
    try {
      await navigator.clipboard.writeText(this.code);
    } catch {
      // Without https there is no clipboard for scripts: select it for the person to copy.
      getSelection()?.selectAllChildren(this.shown);
      return;
    }
    this.copied = true;
    setTimeout(() => {
      this.copied = false;
    }, 2000);
  }
}
