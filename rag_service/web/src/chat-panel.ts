/** The chat: the same element in the widget and on the page. */

import { html, LitElement, nothing } from "lit";
import { property, query, state } from "lit/decorators.js";
import { repeat } from "lit/directives/repeat.js";

import { OpenMarkEvent } from "./answer";
import { ChatApi } from "./api";
import { panelStyles } from "./chat-panel-styles";
import type { Mark } from "./citations";
import { Problem } from "./problem";
import "./composer";
import { AskEvent, type Composer } from "./composer";
import { Conversation, type Turn } from "./conversation";
import { define } from "./define";
import { type Locale, localeFor, sentence } from "./i18n";
import { chatIcon, downIcon, newIcon, warningIcon } from "./icons";
import "./quote-drawer";
import { type Identify, VisitorSession } from "./session";
import { shared } from "./theme";
import type { TurnTools } from "./turn-tools";
import { turnView } from "./turn-view";
import type { Rating, Reason } from "./types";

const NEAR_THE_END = 60;
const WIDE = "(min-width: 1100px)";

@define("rag-chat")
export class ChatPanel extends LitElement implements TurnTools {
  static override styles = [shared, panelStyles];

  /** Where the API is. */
  @property({ attribute: false }) origin = location.origin;
  @property({ attribute: false }) embed = "";
  @property({ attribute: false }) identify: Identify = () => null;
  @property({ attribute: false }) locale: Locale = localeFor();
  /** A page of its own, or a panel on somebody else's. */
  @property({ reflect: true }) layout: "page" | "panel" = "panel";

  @state() private problem: Problem | null = null;
  @state() private opening = true;
  @state() private shown: { mark: Mark; opener: HTMLElement } | null = null;
  @state() private atEnd = true;
  @state() private edited: Turn | null = null;

  @query(".log") private log!: HTMLElement;
  @query(".turns") private content!: HTMLElement;
  @query("rag-composer") private composer!: Composer;

  #session!: VisitorSession;
  #conversation!: Conversation;
  #scheduled = false;
  readonly #wide = matchMedia(WIDE);
  readonly #sizes = new ResizeObserver(() => this.#follow());

  override connectedCallback() {
    super.connectedCallback();
    this.#session = new VisitorSession(this.origin, this.embed, this.identify);
    this.#conversation = new Conversation(new ChatApi(this.origin, this.#session), () => this.#schedule());
    this.#wide.addEventListener("change", this.#onWide);
    void this.#open();
  }

  override disconnectedCallback() {
    super.disconnectedCallback();
    this.#session.close();
    this.#conversation.reset();
    this.#sizes.disconnect();
    this.#wide.removeEventListener("change", this.#onWide);
  }

  override firstUpdated() {
    this.#sizes.observe(this.content);
    this.#sizes.observe(this.log);
  }

  override focus() {
    if (this.shown) this.renderRoot.querySelector<HTMLElement>("rag-quote")?.focus();
    else this.composer?.focus();
  }

  /** Closes the passage, if one is open, and says whether it was. */
  closeQuote(): boolean {
    if (!this.shown) return false;
    const { opener } = this.shown;
    this.shown = null;
    void this.updateComplete.then(() => (opener.isConnected ? opener.focus() : this.composer.focus()));
    return true;
  }

  override render() {
    const { strings, lang, dir } = this.locale;
    const modal = this.shown !== null && !(this.layout === "page" && this.#wide.matches);
    const turns = this.#conversation.turns;
    return html`
      <div class="chat" lang=${lang} dir=${dir} @keydown=${this.#onKey} @rag-open-mark=${this.#onOpenMark}>
        <div class="main" ?inert=${modal}>
          <div class="head">
            <span class="logo">${chatIcon}</span>
            ${this.#heading()}
            <button
              type="button"
              class="icon-button"
              aria-label=${strings.newConversation}
              title=${strings.newConversation}
              ?disabled=${turns.length === 0}
              @click=${this.#startAnew}
            >
              ${newIcon}
            </button>
            <slot name="action"></slot>
          </div>
          <div class="log" role="log" aria-label=${strings.conversation} tabindex="0" @scroll=${this.#onScroll}>
            <div class="turns">
              ${turns.length === 0 ? this.#beginning() : nothing}
              ${repeat(
                turns,
                (turn) => turn.key,
                (turn) => turnView(turn, strings, this, turn === turns.at(-1)),
              )}
            </div>
          </div>
          <div class="foot">
            ${
              this.atEnd
                ? nothing
                : html`<button
                    type="button"
                    class="latest icon-button"
                    aria-label=${strings.latest}
                    title=${strings.latest}
                    @click=${this.#toLatest}
                  >
                    ${downIcon}
                  </button>`
            }
            <rag-composer
              .strings=${strings}
              ?busy=${this.#conversation.busy}
              ?disabled=${this.problem !== null}
              @rag-ask=${this.#onAsk}
              @rag-stop=${this.#onStop}
            ></rag-composer>
          </div>
        </div>
        ${modal ? html`<div class="scrim" @click=${() => this.closeQuote()}></div>` : nothing}
        ${
          this.shown
            ? html`<rag-quote
                class=${modal ? "sheet" : "side"}
                .mark=${this.shown.mark}
                .strings=${strings}
                ?modal=${modal}
                @close=${() => this.closeQuote()}
              ></rag-quote>`
            : nothing
        }
      </div>
    `;
  }

  open(mark: Mark, opener: HTMLElement): void {
    this.shown = { mark, opener };
  }

  retry(turn: Turn): void {
    this.composer.focus();
    this.#toLatest();
    void this.#conversation.retry(turn);
  }

  get busy(): boolean {
    return this.#conversation.busy;
  }

  isEdited(turn: Turn): boolean {
    return this.edited === turn;
  }

  edit(turn: Turn | null): void {
    this.edited = turn;
    const focused = turn === null ? null : ".edit textarea";
    void this.updateComplete.then(() =>
      focused ? this.renderRoot.querySelector<HTMLElement>(focused)?.focus() : this.composer.focus(),
    );
  }

  ask(turn: Turn, question: string): void {
    this.edit(null);
    this.shown = null;
    void this.#conversation.edit(turn, question);
  }

  regenerate(turn: Turn): void {
    this.shown = null;
    this.composer.focus(); // the button that had the focus goes away
    void this.#conversation.regenerate(turn);
  }

  show(messageId: string): void {
    this.shown = null;
    this.edited = null;
    void this.#conversation.show(messageId);
  }

  rate(turn: Turn, rating: Rating | null, reason: Reason | null): void {
    void this.#conversation.rate(turn, rating, reason);
  }

  #heading() {
    const { title } = this.locale.strings;
    return this.layout === "page"
      ? html`<h1 class="name">${title}</h1>`
      : html`<h2 class="name"><bdi>${this.#session.name || title}</bdi></h2>`;
  }

  #beginning() {
    const { strings } = this.locale;
    if (this.problem) {
      return html`<div class="problem alone" role="alert">
        ${warningIcon}
        <p>${sentence(this.problem, strings)}</p>
        ${
          this.problem.retryable
            ? html`<button type="button" class="button" @click=${() => this.#open()}>${strings.retry}</button>`
            : nothing
        }
      </div>`;
    }
    if (this.opening) return html`<p class="unseen">${strings.opening}</p>`;
    return html`<div class="greeting">
      <p class="hello">${strings.greeting}</p>
      <p>${strings.greetingDetail}</p>
    </div>`;
  }

  async #open() {
    this.opening = true;
    try {
      await this.#session.current();
      this.problem = null;
    } catch (error) {
      this.problem = error instanceof Problem ? error : new Problem("unexpected", "", true);
    } finally {
      this.opening = false;
    }
  }

  /** Draws at most once a frame, however fast the answer comes. */
  #schedule() {
    if (this.#scheduled) return;
    this.#scheduled = true;
    const draw = () => {
      this.#scheduled = false;
      this.requestUpdate();
    };
    if (document.hidden) setTimeout(draw, 100);
    else requestAnimationFrame(draw);
  }

  readonly #onAsk = (event: Event) => {
    if (!(event instanceof AskEvent)) return;
    this.#toLatest();
    void this.#conversation.ask(event.question);
  };

  readonly #onStop = () => void this.#conversation.stop();

  readonly #startAnew = () => {
    this.shown = null;
    this.edited = null;
    this.#conversation.reset();
    this.composer.focus();
  };

  readonly #onOpenMark = (event: Event) => {
    if (event instanceof OpenMarkEvent) this.open(event.mark, event.opener);
  };

  readonly #onKey = (event: KeyboardEvent) => {
    if (event.key === "Escape" && !event.isComposing && this.closeQuote()) {
      event.preventDefault();
      event.stopPropagation();
    }
  };

  readonly #onWide = () => this.requestUpdate();

  readonly #onScroll = () => {
    this.atEnd = this.log.scrollHeight - this.log.scrollTop - this.log.clientHeight < NEAR_THE_END;
  };

  readonly #toLatest = () => {
    this.atEnd = true;
    this.log.scrollTop = this.log.scrollHeight;
  };

  /** Keep to the end of an answer that grows, unless somebody scrolled away from it. */
  #follow() {
    if (this.atEnd) this.log.scrollTop = this.log.scrollHeight;
  }
}

declare global {
  interface HTMLElementTagNameMap {
    "rag-chat": ChatPanel;
  }
}
