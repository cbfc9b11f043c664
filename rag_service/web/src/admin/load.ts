/** Things that are fetched: being fetched, there, or failed. Each of the three is shown. */

import {
  html,
  nothing,
  type ReactiveController,
  type ReactiveControllerHost,
  type TemplateResult,
} from "lit";

import { warningIcon } from "../icons";
import { explain } from "./client";
import type { Page } from "./types";

export class Load<T> implements ReactiveController {
  value: T | undefined;
  error: unknown;
  #latest = 0;

  constructor(
    private readonly host: ReactiveControllerHost,
    private readonly task: () => Promise<T>,
  ) {
    host.addController(this);
  }

  hostConnected(): void {
    void this.run();
  }

  /** Fetch, or fetch again; what is there stays until the new is. Only the latest run counts. */
  async run(): Promise<void> {
    const turn = ++this.#latest;
    try {
      const value = await this.task();
      if (turn !== this.#latest) return;
      this.value = value;
      this.error = undefined;
    } catch (error) {
      if (turn !== this.#latest) return;
      this.error = error;
    }
    this.host.requestUpdate();
  }

  view(ready: (value: T) => TemplateResult): TemplateResult {
    if (this.error !== undefined)
      return html`${failure(this.error, () => this.run())}${this.value ? ready(this.value) : nothing}`;
    return this.value === undefined
      ? html`<div class="loading" role="status">Loading…</div>`
      : ready(this.value);
  }
}

interface Listed<T> {
  items: readonly T[];
  next: string | null;
}

/** A list that comes page by page: at first one page, and one more whenever somebody asks for it. */
export class Pages<T> {
  readonly #load: Load<Listed<T>>;
  #wanted = 1;

  constructor(host: ReactiveControllerHost, fetchPage: (cursor: string | null) => Promise<Page<T>>) {
    this.#load = new Load(host, () => fetchPages(fetchPage, this.#wanted));
  }

  /** What is there so far. */
  get items(): readonly T[] {
    return this.#load.value?.items ?? [];
  }

  /** Fetch again what is there. */
  async run(): Promise<void> {
    await this.#load.run();
  }

  /** The items, and below them a button for what comes behind, where there is something. */
  view(ready: (items: readonly T[]) => TemplateResult): TemplateResult {
    return this.#load.view(({ items, next }) => {
      const more = html`<p class="more"><button type="button" class="button" @click=${this.#more}>Show more</button></p>`;
      return html`${ready(items)}${next === null ? nothing : more}`;
    });
  }

  readonly #more = async () => {
    this.#wanted = this.items.length + 1;
    await this.run();
  };
}

/** The first page, and further ones until as many are there as before. */
async function fetchPages<T>(
  fetchPage: (cursor: string | null) => Promise<Page<T>>,
  atLeast: number,
): Promise<Listed<T>> {
  const items: T[] = [];
  let next: string | null = null;
  do {
    const page: Page<T> = await fetchPage(next);
    items.push(...page.items);
    next = page.next_cursor;
  } while (next !== null && items.length < atLeast);
  return { items, next };
}

export function failure(error: unknown, retry?: () => unknown): TemplateResult {
  return html`<div class="alert" role="alert">
    ${warningIcon}
    <p>${explain(error)}</p>
    ${retry ? html`<button type="button" class="button" @click=${retry}>Try again</button>` : nothing}
  </div>`;
}
