/** `/`: the chat as a page. */

import { css, html, LitElement } from "lit";

import "./chat-panel";
import { define } from "./define";
import { localeFor } from "./i18n";
import { tokens } from "./theme";

const EMBED = "home";

@define("rag-page")
export class Page extends LitElement {
  static override styles = css`
    :host {
      display: block;
      block-size: 100vh;
      block-size: 100dvh;
    }
  `;

  readonly #locale = localeFor(new URLSearchParams(location.search).get("lang"), ...navigator.languages);

  override connectedCallback() {
    super.connectedCallback();
    document.documentElement.lang = this.#locale.lang;
    document.documentElement.dir = this.#locale.dir;
    document.title = this.#locale.strings.title;
    if (tokens.styleSheet) document.adoptedStyleSheets.push(tokens.styleSheet);
  }

  override render() {
    return html`<rag-chat layout="page" role="main" .embed=${EMBED} .locale=${this.#locale}></rag-chat>`;
  }

  override async firstUpdated() {
    const chat = this.renderRoot.querySelector("rag-chat");
    await chat?.updateComplete;
    chat?.focus();
  }
}
