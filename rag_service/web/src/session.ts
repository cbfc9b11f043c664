/** A visitor's credential: short-lived, kept in memory alone, renewed before it ends. */

import { type Credential, request } from "./api";
import { Problem } from "./problem";
import type { VisitorToken } from "./types";

/** Who the visitor is to the site: what its backend signed, or null where nobody is signed in. */
export type Identify = () => string | null | undefined | Promise<string | null | undefined>;

interface Asked {
  token?: string;
  identity?: string;
}

const RENEW_AT = 0.75; // of its life

export class VisitorSession implements Credential {
  name = "";
  #token: string | null = null;
  #endsAt = 0;
  #pending: Promise<string> | null = null;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #isClosed = false;

  constructor(
    readonly origin: string,
    readonly embed: string,
    readonly identify: Identify = () => null,
  ) {}

  async current(): Promise<string> {
    // A laptop that slept wakes with its timer late: the clock decides.
    if (this.#token !== null && Date.now() < this.#endsAt) return this.#token;
    return this.renew();
  }

  async renew(): Promise<string> {
    this.#pending ??= this.#fetch().finally(() => {
      this.#pending = null;
    });
    return this.#pending;
  }

  /** Stop renewing, for good. */
  close(): void {
    this.#isClosed = true;
    clearTimeout(this.#timer);
  }

  async #fetch(): Promise<string> {
    const identity = await this.identify(); // asked each time: one lives for an hour at most
    const known: Asked = identity ? { identity } : {};
    let granted: VisitorToken;
    try {
      granted = await this.#ask(this.#token === null ? known : { ...known, token: this.#token });
    } catch (error) {
      // The old token may be too old to be exchanged: then a new visitor begins.
      const tooOld = error instanceof Problem && [400, 401, 422].includes(error.status);
      if (this.#token === null || !tooOld) throw error;
      this.#token = null;
      granted = await this.#ask(known);
    }
    this.name = granted.name;
    this.#token = granted.token;
    const life = granted.expires_in * 1000;
    this.#endsAt = Date.now() + life - Math.min(5000, life / 10);
    clearTimeout(this.#timer);
    if (!this.#isClosed)
      this.#timer = setTimeout(() => void this.renew().catch(() => undefined), life * RENEW_AT);
    return granted.token;
  }

  async #ask(body: Asked): Promise<VisitorToken> {
    try {
      const response = await request(`${this.origin}/api/v1/embeds/${encodeURIComponent(this.embed)}/token`, {
        method: "POST",
        headers: { "Content-Type": "application/json" },
        body: JSON.stringify(body),
      });
      return (await response.json()) as VisitorToken;
    } catch (error) {
      if (error instanceof Problem && error.code === "unreachable" && (await this.#answers())) {
        // The server is there, and the browser may not read its answer: this site is not on the embed's list.
        throw new Problem("origin_not_allowed", "", false, 403);
      }
      if (error instanceof Problem && error.status === 422 && body.token === undefined) {
        throw new Problem("embed_not_found", error.detail, false, 404); // what is no embed's id at all
      }
      throw error;
    }
  }

  /** Whether the server answers at all; what it says cannot be read from here, and need not be. */
  async #answers(): Promise<boolean> {
    if (this.origin === location.origin) return false;
    return fetch(`${this.origin}/health/live`, {
      mode: "no-cors",
      credentials: "omit",
      cache: "no-store",
    }).then(
      () => true,
      () => false,
    );
  }
}
