/** `/admin`: signing in, and the frame around the console's places. */

import { css, html, LitElement, nothing, type TemplateResult } from "lit";
import { query, state } from "lit/decorators.js";
import { keyed } from "lit/directives/keyed.js";

import "./audit";
import "./bases";
import { AdminApi, KeyCredential } from "./client";
import "./chunks";
import "./documents";
import "./embeds";
import { define } from "../define";
import { booksIcon, chatIcon, codeIcon, documentIcon, keyIcon, leaveIcon, likeIcon } from "../icons";
import { shared, tokens } from "../theme";
import { NoticeEvent } from "./events";
import "./feedback";
import "./keys";
import { href, parse, type Route } from "./router";
import "./search";
import "./sign-in";
import { SignedInEvent } from "./sign-in";
import { consoleStyles } from "./styles";
import "./unanswered";
import { Uploads } from "./uploads";

const REMEMBERED = "rag-console-key";
const NOTICE_MILLISECONDS = 6000;

interface Session {
  api: AdminApi;
  uploads: Uploads;
}

@define("rag-console")
export class Console extends LitElement {
  static override styles = [
    shared,
    consoleStyles,
    css`
      :host {
        min-block-size: 100vh;
        min-block-size: 100dvh;
        background: var(--bg);
        color: var(--text);
        font: 400 16px / 1.5 var(--font);
      }
      .bar {
        position: sticky;
        inset-block-start: 0;
        z-index: 1;
        border-block-end: 1px solid var(--line);
        background: var(--surface);
      }
      .bar > div {
        display: flex;
        align-items: center;
        gap: 4px;
        max-inline-size: 1120px;
        margin-inline: auto;
        padding: 8px 20px;
      }
      .brand {
        display: flex;
        align-items: center;
        gap: 10px;
        margin-inline-end: 20px;
        font-weight: 680;
      }
      .brand span {
        display: grid;
        place-items: center;
        inline-size: 32px;
        block-size: 32px;
        border-radius: 9px;
        background: var(--accent);
        color: var(--on-accent);
      }
      .brand svg {
        inline-size: 18px;
        block-size: 18px;
      }
      nav {
        display: flex;
        flex: 1;
        gap: 4px;
      }
      nav a,
      .leave {
        display: flex;
        align-items: center;
        gap: 8px;
        min-block-size: 40px;
        padding: 6px 12px;
        border: 0;
        border-radius: var(--radius-small);
        background: none;
        color: var(--muted);
        font-weight: 560;
        text-decoration: none;
        transition: background-color var(--quick) var(--ease);
      }
      nav a:hover,
      .leave:hover {
        background: var(--sunken);
        color: var(--text);
      }
      nav a[aria-current] {
        background: var(--accent-soft);
        color: var(--on-accent-soft);
      }
      main {
        max-inline-size: 1120px;
        margin-inline: auto;
        padding: 28px 20px 64px;
        outline: none;
      }
      .notice {
        position: fixed;
        inset-block-end: max(20px, env(safe-area-inset-bottom));
        inset-inline: 16px;
        z-index: 2;
        inline-size: fit-content;
        max-inline-size: min(480px, 100vw - 32px);
        margin-inline: auto;
        padding: 11px 18px;
        border-radius: var(--radius);
        background: var(--text);
        box-shadow: var(--shadow);
        color: var(--bg);
        overflow-wrap: anywhere;
      }
      .ended {
        position: fixed;
        inset-block-start: 16px;
        inset-inline: 16px;
        max-inline-size: 480px;
        margin-inline: auto;
      }
      @media (max-width: 620px) {
        .bar > div {
          padding-inline: 12px;
        }
        .brand {
          margin-inline-end: 6px;
        }
        .brand b,
        .leave b {
          position: absolute;
          inline-size: 1px;
          block-size: 1px;
          overflow: hidden;
          clip-path: inset(50%);
        }
        nav {
          flex-wrap: wrap;
        }
        nav a,
        .leave {
          padding-inline: 10px;
          font-size: 0.9375em;
        }
        nav a svg {
          display: none;
        }
        main {
          padding: 20px 16px 64px;
        }
      }
    `,
  ];

  @state() private session: Session | null = null;
  @state() private ended = false;
  @state() private route: Route = parse(location.hash);
  @state() private notice = "";

  @query("main") private main!: HTMLElement | null;
  #timer: ReturnType<typeof setTimeout> | undefined;

  override connectedCallback() {
    super.connectedCallback();
    if (tokens.styleSheet) document.adoptedStyleSheets.push(tokens.styleSheet);
    addEventListener("hashchange", this.#onHash);
    addEventListener("beforeunload", this.#onLeaving);
    const key = remembered();
    if (key) this.#begin(key);
  }

  override render() {
    if (!this.session) {
      return html`
        ${this.ended ? html`<div class="alert ended" role="alert"><p>The key is no longer accepted. Sign in again.</p></div>` : nothing}
        <rag-sign-in @rag-signed-in=${this.#onSignedIn}></rag-sign-in>
      `;
    }
    const current = (at: Route["at"]) => (this.route.at === at ? "page" : nothing);
    const inBases = !["embeds", "feedback", "keys", "audit"].includes(this.route.at);
    return html`
      <header class="bar">
        <div>
          <div class="brand"><span>${chatIcon}</span><b>Console</b></div>
          <nav aria-label="Console">
            <a href=${href({ at: "bases" })} aria-current=${inBases ? "page" : nothing}>${booksIcon} Knowledge bases</a>
            <a href=${href({ at: "embeds" })} aria-current=${current("embeds")}>${codeIcon} Embeds</a>
            <a href=${href({ at: "feedback" })} aria-current=${current("feedback")}>${likeIcon} Feedback</a>
            <a href=${href({ at: "keys" })} aria-current=${current("keys")}>${keyIcon} Keys</a>
            <a href=${href({ at: "audit" })} aria-current=${current("audit")}>${documentIcon} Audit log</a>
          </nav>
          <button type="button" class="leave" title="Sign out" @click=${this.#signOut}>${leaveIcon} <b>Sign out</b></button>
        </div>
      </header>
      <main @rag-notice=${this.#onNotice}>${keyed(keyOf(this.route), this.#place(this.session))}</main>
      <div role="status">${this.notice ? html`<div class="notice">${this.notice}</div>` : nothing}</div>
    `;
  }

  #place({ api, uploads }: Session): TemplateResult {
    const { route } = this;
    switch (route.at) {
      case "bases":
        return html`<rag-bases .api=${api}></rag-bases>`;
      case "documents":
        return html`<rag-documents .api=${api} .uploads=${uploads} slug=${route.slug}></rag-documents>`;
      case "search":
        return html`<rag-search .api=${api} slug=${route.slug} .query=${route.query}></rag-search>`;
      case "chunks":
        return html`<rag-chunks .api=${api} slug=${route.slug} .documentId=${route.documentId}></rag-chunks>`;
      case "unanswered":
        return html`<rag-unanswered .api=${api} slug=${route.slug}></rag-unanswered>`;
      case "feedback":
        return html`<rag-feedback .api=${api}></rag-feedback>`;
      case "embeds":
        return html`<rag-embeds .api=${api}></rag-embeds>`;
      case "keys":
        return html`<rag-keys .api=${api}></rag-keys>`;
      case "audit":
        return html`<rag-audit .api=${api}></rag-audit>`;
      case "nowhere":
        return html`<div class="empty"><h1 tabindex="-1">There is nothing here</h1>
          <p><a href=${href({ at: "bases" })}>To the knowledge bases</a></p></div>`;
    }
  }

  #begin(key: string) {
    const api = new AdminApi(location.origin, new KeyCredential(key, () => this.#end(true)));
    this.session = { api, uploads: new Uploads(api) };
    this.ended = false;
  }

  #end(refused: boolean) {
    forget();
    this.session = null;
    this.ended = refused;
  }

  readonly #signOut = () => {
    if (this.session?.uploads.unsent && !confirm("Files are still being sent. Sign out all the same?"))
      return;
    this.#end(false);
  };

  readonly #onSignedIn = (event: Event) => {
    if (!(event instanceof SignedInEvent)) return;
    if (event.remember) remember(event.key);
    this.#begin(event.key);
    void this.#arrive();
  };

  readonly #onHash = () => {
    const before = keyOf(this.route);
    this.route = parse(location.hash);
    if (keyOf(this.route) !== before) void this.#arrive();
  };

  /** A new place: its heading gets the focus, for those who cannot see that the page changed. */
  async #arrive() {
    scrollTo(0, 0);
    await this.updateComplete;
    const place = this.main?.firstElementChild;
    if (!(place instanceof LitElement)) return;
    await place.updateComplete;
    const inner = place.renderRoot.querySelector("rag-base-heading");
    if (inner instanceof LitElement) await inner.updateComplete;
    const root = inner instanceof LitElement ? inner.renderRoot : place.renderRoot;
    root.querySelector<HTMLElement>("h1")?.focus({ preventScroll: true });
  }

  readonly #onNotice = (event: Event) => {
    if (!(event instanceof NoticeEvent)) return;
    this.notice = event.text;
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => {
      this.notice = "";
    }, NOTICE_MILLISECONDS);
  };

  readonly #onLeaving = (event: BeforeUnloadEvent) => {
    if (this.session?.uploads.unsent) event.preventDefault();
  };
}

/** What makes a place another place; the question of a search does not. */
function keyOf(route: Route): string {
  return href(route.at === "search" ? { ...route, query: "" } : route) + route.at;
}

function remembered(): string | null {
  try {
    return sessionStorage.getItem(REMEMBERED);
  } catch {
    return null; // storage may be forbidden
  }
}

function remember(key: string): void {
  try {
    sessionStorage.setItem(REMEMBERED, key);
  } catch {
    // Then it is forgotten with the page.
  }
}

function forget(): void {
  try {
    sessionStorage.removeItem(REMEMBERED);
  } catch {
    // There is nothing to forget.
  }
}
