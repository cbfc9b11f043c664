/** What can be done with a turn: rate the answer, have it made anew, word the question anew, look at the others. */

import { html, nothing, type TemplateResult } from "lit";

import type { Turn } from "./conversation";
import type { Strings } from "./i18n";
import { againIcon, dislikeIcon, likeIcon, nextIcon, penIcon, previousIcon } from "./icons";
import { type Rating, REASONS, type Reason } from "./types";

export interface TurnTools {
  /** Whether an answer is on its way: nothing is begun meanwhile. */
  readonly busy: boolean;
  isEdited(turn: Turn): boolean;
  edit(turn: Turn | null): void;
  ask(turn: Turn, question: string): void;
  regenerate(turn: Turn): void;
  show(messageId: string): void;
  rate(turn: Turn, rating: Rating | null, reason: Reason | null): void;
}

/** The question as text, with a way to word it anew; or, while it is, a form. */
export function questionView(turn: Turn, strings: Strings, tools: TurnTools): TemplateResult {
  if (tools.isEdited(turn)) return form(turn, strings, tools);
  return html`
    <div class="question">
      <h3 class="unseen">${strings.you}</h3>
      <p dir="auto">${turn.question}</p>
    </div>
    ${
      turn.messageId
        ? html`<div class="tools of-question">
            ${versions(turn.questionSiblings, turn.questionId, strings, tools)}
            ${button(penIcon, strings.edit, tools.busy, () => tools.edit(turn))}
          </div>`
        : nothing
    }
  `;
}

/** Below an answer that has ended. */
export function answerTools(turn: Turn, strings: Strings, tools: TurnTools): TemplateResult | typeof nothing {
  if (turn.state !== "complete" || !turn.messageId) return nothing;
  const rated = (rating: Rating) => tools.rate(turn, turn.rating === rating ? null : rating, null);
  return html`
    <div class="tools" role="group" aria-label=${strings.tools}>
      ${versions(turn.siblings, turn.messageId, strings, tools)}
      ${button(againIcon, strings.regenerate, tools.busy, () => tools.regenerate(turn))}
      ${button(likeIcon, strings.like, false, () => rated("like"), turn.rating === "like")}
      ${button(dislikeIcon, strings.dislike, false, () => rated("dislike"), turn.rating === "dislike")}
      ${turn.rating === "dislike" ? reasons(turn, strings, tools) : nothing}
    </div>
  `;
}

function form(turn: Turn, strings: Strings, tools: TurnTools): TemplateResult {
  const send = (event: Event) => {
    event.preventDefault();
    const said = new FormData(event.currentTarget as HTMLFormElement).get("question");
    const question = typeof said === "string" ? said.trim() : "";
    if (question !== "" && !tools.busy) tools.ask(turn, question);
  };
  const leave = (event: KeyboardEvent) => {
    if (event.key !== "Escape" || event.isComposing) return;
    event.stopPropagation();
    tools.edit(null);
  };
  return html`
    <form class="edit" @submit=${send} @keydown=${leave}>
      <textarea
        name="question"
        dir="auto"
        rows="3"
        maxlength="4000"
        required
        aria-label=${strings.edit}
        .value=${turn.question}
      ></textarea>
      <div class="tools of-question">
        <button type="button" class="button" @click=${() => tools.edit(null)}>${strings.cancel}</button>
        <button type="submit" class="button primary" ?disabled=${tools.busy}>${strings.send}</button>
      </div>
    </form>
  `;
}

function versions(
  ids: readonly string[],
  shown: string | null,
  strings: Strings,
  tools: TurnTools,
): TemplateResult | typeof nothing {
  const at = ids.indexOf(shown ?? "");
  if (ids.length < 2 || at < 0) return nothing;
  const to = (step: number) => () => {
    const id = ids[at + step];
    if (id !== undefined) tools.show(id);
  };
  return html`<span class="versions">
    ${button(previousIcon, strings.previous, tools.busy || at === 0, to(-1))}
    <span aria-label=${strings.version(at + 1, ids.length)} role="img">${at + 1}/${ids.length}</span>
    ${button(nextIcon, strings.next, tools.busy || at === ids.length - 1, to(1))}
  </span>`;
}

function reasons(turn: Turn, strings: Strings, tools: TurnTools): TemplateResult {
  const chosen = (event: Event) => {
    const { value } = event.currentTarget as HTMLSelectElement;
    tools.rate(turn, "dislike", value === "" ? null : (value as Reason));
  };
  return html`<select aria-label=${strings.why} @change=${chosen}>
    <option value="" ?selected=${turn.reason === null}>${strings.why}</option>
    ${REASONS.map(
      (reason) =>
        html`<option value=${reason} ?selected=${turn.reason === reason}>${strings.reasons[reason]}</option>`,
    )}
  </select>`;
}

function button(
  icon: TemplateResult,
  label: string,
  disabled: boolean,
  act: () => void,
  pressed?: boolean,
): TemplateResult {
  return html`<button
    type="button"
    class="tool"
    aria-label=${label}
    title=${label}
    aria-pressed=${pressed === undefined ? nothing : pressed ? "true" : "false"}
    ?disabled=${disabled}
    @click=${act}
  >
    ${icon}
  </button>`;
}
