/** Where files are dropped or chosen, and what becomes of each of them. */

import { css, html, LitElement, nothing, type TemplateResult } from "lit";
import { property, query, state } from "lit/decorators.js";
import { repeat } from "lit/directives/repeat.js";

import { define } from "../define";
import { checkIcon, uploadIcon, warningIcon } from "../icons";
import { shared } from "../theme";
import { bytes, count } from "./format";
import { consoleStyles } from "./styles";
import { isFinished, type Upload, type Uploads } from "./uploads";

@define("rag-upload-zone")
export class UploadZone extends LitElement {
  static override styles = [
    shared,
    consoleStyles,
    css`
      .zone {
        display: flex;
        flex-wrap: wrap;
        align-items: center;
        gap: 14px 18px;
        padding: 20px;
        border: 1.5px dashed var(--line-strong);
        border-radius: var(--radius);
        background: var(--surface);
        transition:
          border-color var(--quick) var(--ease),
          background-color var(--quick) var(--ease);
      }
      .zone.over {
        border-color: var(--accent);
        background: var(--accent-soft);
      }
      .zone > svg {
        inline-size: 30px;
        block-size: 30px;
        color: var(--accent);
      }
      .zone div {
        flex: 1 1 16em;
      }
      .zone strong {
        font-weight: 620;
      }
      .zone p {
        margin: 0;
        color: var(--muted);
        font-size: 0.9em;
      }
      section {
        margin-block-start: 14px;
        border: 1px solid var(--line);
        border-radius: var(--radius);
        background: var(--surface);
      }
      .summary {
        display: flex;
        flex-wrap: wrap;
        align-items: center;
        justify-content: space-between;
        gap: 8px;
        padding: 10px 12px 10px 18px;
        padding-inline: 18px 12px;
        font-weight: 600;
      }
      .summary p {
        margin: 0;
      }
      .summary .button {
        min-block-size: 34px;
        padding: 4px 12px;
      }
      ul {
        max-block-size: 420px;
        margin: 0;
        padding: 0;
        overflow: auto;
        list-style: none;
      }
      li {
        display: grid;
        grid-template-columns: auto minmax(0, 1fr) auto;
        gap: 4px 12px;
        align-items: center;
        padding: 10px 18px;
        border-block-start: 1px solid var(--line);
      }
      li > svg {
        color: var(--muted);
      }
      li.ready > svg,
      li.unchanged > svg {
        color: var(--accent);
      }
      li.failed > svg {
        color: var(--danger);
      }
      .file {
        overflow-wrap: anywhere;
      }
      .size {
        white-space: nowrap;
      }
      .stage {
        color: var(--muted);
        font-size: 0.875em;
        font-variant-numeric: tabular-nums;
        white-space: nowrap;
      }
      .under {
        grid-column: 2 / -1;
        margin: 0;
        font-size: 0.9em;
        overflow-wrap: anywhere;
      }
      .failed .under {
        color: var(--danger);
      }
      .again {
        padding: 0;
        border: 0;
        background: none;
        color: var(--accent);
        font-weight: 560;
        text-decoration: underline;
        text-underline-offset: 0.15em;
      }
    `,
  ];

  @property({ attribute: false }) uploads!: Uploads;
  @property() slug = "";
  @state() private over = false;

  @query("input") private input!: HTMLInputElement;
  #depth = 0;

  override connectedCallback() {
    super.connectedCallback();
    this.uploads.addEventListener("changed", this.#onChange);
    // A file dropped beside the zone would otherwise be opened in the place of the console.
    addEventListener("dragenter", this.#onEnter);
    addEventListener("dragleave", this.#onLeave);
    addEventListener("dragover", this.#onOver);
    addEventListener("drop", this.#onDrop);
  }

  override disconnectedCallback() {
    super.disconnectedCallback();
    this.uploads.removeEventListener("changed", this.#onChange);
    removeEventListener("dragenter", this.#onEnter);
    removeEventListener("dragleave", this.#onLeave);
    removeEventListener("dragover", this.#onOver);
    removeEventListener("drop", this.#onDrop);
  }

  override render() {
    return html`
      <div class="zone ${this.over ? "over" : ""}">
        ${uploadIcon}
        <div>
          <strong>${this.over ? "Drop them anywhere" : "Drop files here"}</strong>
          <p>PDF, Word, PowerPoint, Excel, HTML, Markdown, text, CSV, mail, e-books and more; several at once.</p>
        </div>
        <button type="button" class="button primary" @click=${this.#choose}>Choose files</button>
        <input type="file" multiple hidden aria-label="Files to upload" @change=${this.#onChosen} />
      </div>
      ${this.#list(this.uploads.of(this.slug))}
    `;
  }

  #list(all: readonly Upload[]): TemplateResult {
    const finished = all.filter(isFinished).length;
    const failed = all.filter(({ stage }) => stage === "failed").length;
    const summary =
      finished < all.length
        ? `${finished} of ${count(all.length, "file")} done`
        : `${count(all.length - failed, "file")} done${failed > 0 ? `, ${failed} failed` : ""}`;
    return html`<section aria-label="Uploads" ?hidden=${all.length === 0}>
      <div class="summary">
        <p role="status">${all.length > 0 ? summary : nothing}</p>
        ${
          finished > 0
            ? html`<button type="button" class="button" @click=${() => this.uploads.clearFinished(this.slug)}>
                Clear the finished
              </button>`
            : nothing
        }
      </div>
      <ul>
        ${repeat(
          all.toReversed(),
          ({ key }) => key,
          (upload) => this.#row(upload),
        )}
      </ul>
    </section>`;
  }

  #row(upload: Upload): TemplateResult {
    const { stage, name, size, share, said, file } = upload;
    const icon = stage === "failed" ? warningIcon : isFinished(upload) ? checkIcon : uploadIcon;
    return html`<li class=${stage}>
      ${icon}
      <span class="file"><bdi>${name}</bdi>${size > 0 ? html` <span class="muted size">${bytes(size)}</span>` : nothing}</span>
      <span class="stage">
        ${label(upload)}
        ${stage === "reading" ? html`<button type="button" class="again" aria-label=${`Stop reading: ${name}`} @click=${() => this.uploads.cancel(upload)}>Stop</button>` : nothing}
      </span>
      ${
        stage === "sending" || stage === "reading"
          ? html`<progress class="under" aria-label=${`${label(upload)}: ${name}`} max="1" value=${share ?? nothing}></progress>`
          : nothing
      }
      ${
        said || stage === "failed"
          ? html`<p class="under">
              ${said}
              ${stage === "failed" && file ? html`<button type="button" class="again" @click=${() => this.uploads.again(upload)}>Send again</button>` : nothing}
            </p>`
          : nothing
      }
    </li>`;
  }

  #choose() {
    this.input.click();
  }

  #onChosen() {
    this.uploads.add(this.slug, [...(this.input.files ?? [])]);
    this.input.value = "";
  }

  readonly #onChange = () => this.requestUpdate();

  readonly #onEnter = (event: DragEvent) => {
    if (!hasFiles(event)) return;
    this.#depth += 1;
    this.over = true;
  };

  readonly #onLeave = (event: DragEvent) => {
    if (!hasFiles(event)) return;
    this.#depth = Math.max(0, this.#depth - 1);
    this.over = this.#depth > 0;
  };

  readonly #onOver = (event: DragEvent) => {
    if (hasFiles(event)) event.preventDefault();
  };

  readonly #onDrop = (event: DragEvent) => {
    if (!hasFiles(event) || !event.dataTransfer) return;
    event.preventDefault();
    this.#depth = 0;
    this.over = false;
    const files: File[] = [];
    for (const item of event.dataTransfer.items) {
      const file = item.getAsFile();
      if (!file) continue;
      if (item.webkitGetAsEntry()?.isDirectory) {
        this.uploads.refuse(
          this.slug,
          file.name,
          "This is a folder: open it, and drop the files that are in it.",
        );
      } else files.push(file);
    }
    this.uploads.add(this.slug, files);
  };
}

function hasFiles(event: DragEvent): boolean {
  return event.dataTransfer?.types.includes("Files") === true;
}

function label({ stage, share }: Upload): string {
  const percent = share === null ? "" : ` ${Math.round(share * 100)} %`;
  switch (stage) {
    case "waiting":
      return "Waiting";
    case "sending":
      return share === 1 ? "Storing" : `Sending${percent}`;
    case "reading":
      return `Reading${percent}`;
    case "ready":
      return "Ready";
    case "unchanged":
      return "Unchanged";
    case "failed":
      return "Failed";
  }
}
