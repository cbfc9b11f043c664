/** A button on somebody else's page, and the chat it opens: a panel beside the page, or all of a phone's screen. */

import { css, html, LitElement, nothing, unsafeCSS } from "lit";
import { query, state } from "lit/decorators.js";

import "./chat-panel";
import type { ChatPanel } from "./chat-panel";
import { define } from "./define";
import { type Locale, localeFor } from "./i18n";
import { chatIcon, closeIcon } from "./icons";
import type { Identify } from "./session";
import { shared, tokens } from "./theme";

const PHONE = "(max-width: 520px), (max-height: 480px)";

export interface WidgetOptions {
  origin: string;
  embed: string;
  lang: string | null;
  identify: Identify;
}

@define("rag-widget")
export class WidgetElement extends LitElement {
  static readonly tag = "rag-widget";

  static override styles = [
    tokens,
    shared,
    css`
      /* The page's styles reach the element itself, even before ours; what is inside it they do not reach. */
      :host {
        all: initial !important;
      }
      .root {
        all: initial;
        color-scheme: var(--scheme);
        color: var(--text);
        font: 400 16px / 1.5 var(--font);
      }
      .launcher {
        position: fixed;
        z-index: 2147483000;
        inset-block-end: max(20px, env(safe-area-inset-bottom));
        inset-inline-end: max(20px, env(safe-area-inset-right));
        display: grid;
        place-items: center;
        inline-size: 56px;
        block-size: 56px;
        padding: 0;
        border: 1px solid transparent;
        border-radius: 50%;
        background: var(--accent);
        box-shadow: var(--shadow);
        color: var(--on-accent);
        transition:
          transform var(--quick) var(--ease),
          background-color var(--quick) var(--ease);
      }
      .launcher:hover {
        background: var(--accent-hover);
        transform: translateY(-1px);
      }
      .launcher:focus-visible {
        outline: 3px solid var(--accent);
        outline-offset: 3px;
      }
      .launcher svg {
        inline-size: 26px;
        block-size: 26px;
      }
      dialog {
        position: fixed;
        z-index: 2147483000;
        inset: auto;
        inset-block-end: calc(max(20px, env(safe-area-inset-bottom)) + 68px);
        inset-inline-end: max(20px, env(safe-area-inset-right));
        inline-size: 400px;
        block-size: min(660px, 100vh - 112px);
        block-size: min(660px, 100dvh - 112px);
        max-inline-size: none;
        max-block-size: none;
        margin: 0;
        padding: 0;
        overflow: hidden;
        border: 1px solid var(--line);
        border-radius: 18px;
        background: var(--surface);
        box-shadow: var(--shadow);
        color: inherit;
      }
      dialog[open] {
        animation: open 180ms var(--ease);
      }
      @media ${unsafeCSS(PHONE)} {
        dialog {
          inset: 0;
          inline-size: 100%;
          block-size: 100%;
          block-size: var(--visible, 100dvh);
          border: 0;
          border-radius: 0;
        }
      }
      @keyframes open {
        from {
          opacity: 0;
          transform: translateY(12px);
        }
      }
    `,
  ];

  @state() private open = false;
  /** The chat is made when it is first opened: before that, nothing is asked of the server. */
  @state() private begun = false;

  @query("dialog") private dialog!: HTMLDialogElement;
  @query("rag-chat") private chat!: ChatPanel | null;
  @query(".launcher") private launcher!: HTMLButtonElement;

  #options: WidgetOptions = { origin: location.origin, embed: "", lang: null, identify: () => null };
  #locale: Locale = localeFor();
  #overflow: string | null = null;
  readonly #phone = matchMedia(PHONE);

  configure(options: WidgetOptions): void {
    this.#options = options;
    this.#locale = localeFor(options.lang || document.documentElement.lang || navigator.language);
  }

  override connectedCallback() {
    super.connectedCallback();
    this.#phone.addEventListener("change", this.#onPhone);
    visualViewport?.addEventListener("resize", this.#onViewport);
  }

  override disconnectedCallback() {
    super.disconnectedCallback();
    this.#phone.removeEventListener("change", this.#onPhone);
    visualViewport?.removeEventListener("resize", this.#onViewport);
    this.#holdPage(false);
  }

  override render() {
    const { strings } = this.#locale;
    const label = this.open ? strings.closeChat : strings.openChat;
    return html`<div class="root" lang=${this.#locale.lang} dir=${this.#locale.dir}>
      <button
        type="button"
        class="launcher"
        aria-label=${label}
        title=${label}
        aria-expanded=${this.open ? "true" : "false"}
        aria-haspopup="dialog"
        @click=${this.#toggle}
      >
        ${this.open ? closeIcon : chatIcon}
      </button>
      <dialog aria-label=${strings.title} @keydown=${this.#onKey} @cancel=${this.#onCancel} @close=${this.#onClose}>
        ${
          this.begun
            ? html`<rag-chat .origin=${this.#options.origin} .embed=${this.#options.embed} .identify=${this.#options.identify} .locale=${this.#locale}>
                <button
                  slot="action"
                  type="button"
                  class="icon-button"
                  aria-label=${strings.closeChat}
                  title=${strings.closeChat}
                  @click=${this.#hide}
                >
                  ${closeIcon}
                </button>
              </rag-chat>`
            : nothing
        }
      </dialog>
    </div>`;
  }

  readonly #toggle = () => (this.open ? this.#hide() : void this.#show());

  async #show() {
    this.begun = true;
    this.open = true;
    await this.updateComplete;
    this.#raise();
    await this.chat?.updateComplete;
    this.chat?.focus();
  }

  /** On a phone the chat takes the screen, and the page behind it cannot be reached; else both can be used. */
  #raise() {
    if (this.#phone.matches) this.dialog.showModal();
    else this.dialog.show();
    this.#holdPage(this.#phone.matches);
    this.#onViewport();
  }

  readonly #hide = () => {
    this.dialog.close();
  };

  readonly #onClose = () => {
    if (!this.open || this.dialog.open) return;
    this.open = false;
    this.#holdPage(false);
    this.launcher.focus();
  };

  readonly #onKey = (event: KeyboardEvent) => {
    if (event.key !== "Escape" || event.isComposing) return;
    event.preventDefault();
    this.#hide();
  };

  /** The way back of a phone. */
  readonly #onCancel = (event: Event) => {
    event.preventDefault();
    if (!this.chat?.closeQuote()) this.#hide();
  };

  readonly #onPhone = () => {
    if (!this.open) return;
    this.dialog.close();
    this.#raise();
    this.chat?.focus();
  };

  /** The screen that the keyboard of a phone leaves. */
  readonly #onViewport = () => {
    if (visualViewport) this.dialog?.style.setProperty("--visible", `${visualViewport.height}px`);
  };

  /** The page behind a chat that covers it stays where it is. */
  #holdPage(hold: boolean) {
    const { style } = document.documentElement;
    if (hold && this.#overflow === null) {
      this.#overflow = style.overflow;
      style.overflow = "hidden";
    } else if (!hold && this.#overflow !== null) {
      style.overflow = this.#overflow;
      this.#overflow = null;
    }
  }
}

declare global {
  interface HTMLElementTagNameMap {
    "rag-widget": WidgetElement;
  }
}
