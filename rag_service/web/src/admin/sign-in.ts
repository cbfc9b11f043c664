/** Signing in with an API key. */

import { css, html, LitElement, nothing } from "lit";
import { query, state } from "lit/decorators.js";
import { define } from "../define";
import { chatIcon } from "../icons";
import { Problem } from "../problem";
import { shared } from "../theme";
import { AdminApi, KeyCredential } from "./client";
import { failure } from "./load";
import { consoleStyles } from "./styles";

/** A key that was accepted. */
export class SignedInEvent extends Event {
  static readonly type = "rag-signed-in";

  constructor(
    readonly key: string,
    readonly remember: boolean,
  ) {
    super(SignedInEvent.type);
  }
}

@define("rag-sign-in")
export class SignIn extends LitElement {
  static override styles = [
    shared,
    consoleStyles,
    css`
      main {
        display: grid;
        place-items: center;
        min-block-size: 100vh;
        min-block-size: 100dvh;
        padding: 24px 16px;
      }
      .card {
        inline-size: min(420px, 100%);
        padding: 32px 28px;
        box-shadow: var(--shadow);
      }
      .logo {
        display: grid;
        place-items: center;
        inline-size: 44px;
        block-size: 44px;
        margin-block-end: 18px;
        border-radius: 12px;
        background: var(--accent);
        color: var(--on-accent);
      }
      .logo svg {
        inline-size: 24px;
        block-size: 24px;
      }
      h1 {
        margin-block-end: 6px;
        font-size: 1.4em;
      }
      .intro {
        margin: 0 0 22px;
        color: var(--muted);
      }
      .check {
        display: flex;
        align-items: flex-start;
        gap: 10px;
        font-weight: 400;
      }
      .check input {
        inline-size: 18px;
        block-size: 18px;
        margin: 3px 0 0;
        accent-color: var(--accent);
      }
      .alert {
        margin: 0;
      }
    `,
  ];

  @state() private error: string | unknown;
  @state() private checking = false;

  @query("#key") private input!: HTMLInputElement;
  @query("#remember") private remember!: HTMLInputElement;

  override firstUpdated() {
    this.input.focus();
  }

  override render() {
    return html`
      <main>
        <div class="card">
          <div class="logo">${chatIcon}</div>
          <h1>Console</h1>
          <p class="intro">Sign in with an API key of the role <span class="mono">admin</span>.</p>
          <form @submit=${this.#onSubmit}>
            <div class="field">
              <label>
                API key
                <input
                  id="key"
                  type="password"
                  autocomplete="off"
                  spellcheck="false"
                  autocapitalize="off"
                  required
                  aria-describedby="where"
                />
              </label>
              <span id="where" class="hint">
                The first one lies in the file <span class="mono">admin.key</span> in the server's state folder.
              </span>
            </div>
            <label class="check">
              <input id="remember" type="checkbox" />
              <span>Stay signed in until this tab is closed</span>
            </label>
            ${typeof this.error === "string" ? html`<div class="alert" role="alert"><p>${this.error}</p></div>` : this.error === undefined ? nothing : failure(this.error)}
            <button type="submit" class="button primary" ?disabled=${this.checking}>
              ${this.checking ? "Checking…" : "Sign in"}
            </button>
          </form>
        </div>
      </main>
    `;
  }

  async #onSubmit(event: Event) {
    event.preventDefault();
    const key = this.input.value.trim();
    if (!/^[\x21-\x7e]+$/.test(key)) {
      this.error =
        key === "" ? "Enter a key." : "This is not a key: keys hold no spaces and no letters beyond a to z.";
      return;
    }
    this.checking = true;
    this.error = undefined;
    try {
      // Only administrators may list embeds: the answer says whether this key is one of theirs.
      await new AdminApi(location.origin, new KeyCredential(key, () => undefined)).embeds();
      this.dispatchEvent(new SignedInEvent(key, this.remember.checked));
    } catch (error) {
      const unknown = error instanceof Problem && error.status === 401;
      this.error = unknown ? "This key is not known here, or it was revoked." : error;
      this.input.select();
    } finally {
      this.checking = false;
    }
  }
}
