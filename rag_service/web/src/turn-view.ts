/** One turn on the screen: the question, the answer, what kind of answer it is, its sources, what went wrong. */

import { html, nothing, type TemplateResult } from "lit";

import "./answer";
import { type Mark, replaceMarks } from "./citations";
import type { Turn } from "./conversation";
import { type Strings, sentence } from "./i18n";
import { documentIcon, quoteIcon, stopIcon, warningIcon } from "./icons";
import { answerTools, questionView, type TurnTools } from "./turn-tools";

export interface TurnActions extends TurnTools {
  open(mark: Mark, opener: HTMLElement): void;
  retry(turn: Turn): void;
}

const QUOTING = "extractive";

export function turnView(turn: Turn, strings: Strings, actions: TurnActions, last: boolean): TemplateResult {
  const finished = turn.state === "complete" || turn.state === "failed";
  return html`
    <article class="turn">
      ${questionView(turn, strings, actions)}
      <div class="answer" aria-busy=${finished ? "false" : "true"}>
        <h3 class="unseen">${strings.answer}</h3>
        ${turn.state === "waiting" && turn.delay === null ? waiting(strings.searching) : nothing} ${badge(turn, strings)}
        ${
          turn.text
            ? html`<rag-answer
                .text=${turn.text}
                .sources=${turn.sources}
                .citations=${turn.citations}
                .finished=${finished}
                .quoted=${turn.model === QUOTING}
                .strings=${strings}
              ></rag-answer>`
            : nothing
        }
        ${turn.delay ? waiting(strings[turn.delay]) : nothing} ${note(turn, strings)} ${finished ? sources(turn, strings, actions) : nothing}
        ${turn.problem ? problem(turn, strings, actions, last) : nothing} ${answerTools(turn, strings, actions)}
      </div>
    </article>
  `;
}

function waiting(what: string): TemplateResult {
  return html`<p class="waiting"><span class="dots" aria-hidden="true"><i></i><i></i><i></i></span>${what}</p>`;
}

/** Above the answer: what kind of answer this is. */
function badge(turn: Turn, strings: Strings): TemplateResult | typeof nothing {
  if (turn.state !== "complete") return nothing;
  if (turn.finish === "refused")
    return html`<p class="badge plain">${documentIcon}<span>${strings.refused}</span></p>`;
  if (turn.degraded) return html`<p class="badge warn">${warningIcon}<span>${strings.degraded}</span></p>`;
  if (turn.model === QUOTING) return html`<p class="badge">${quoteIcon}<span>${strings.quoted}</span></p>`;
  return nothing;
}

/** Below the answer: that it is not whole, or what of it nothing was found to rest on. */
function note(turn: Turn, strings: Strings): TemplateResult | typeof nothing {
  if (turn.finish === "stopped")
    return html`<p class="badge plain">${stopIcon}<span>${strings.stopped}</span></p>`;
  if (turn.finish === "length")
    return html`<p class="badge warn">${warningIcon}<span>${strings.cutShort}</span></p>`;
  if (turn.unsupported.length > 0)
    return html`<div class="badge warn unsupported">
      ${warningIcon}
      <div>
        <p>${strings.unsupported}</p>
        <ul>
          ${turn.unsupported.map((said) => html`<li dir="auto">${said}</li>`)}
        </ul>
      </div>
    </div>`;
  return nothing;
}

function sources(turn: Turn, strings: Strings, actions: TurnActions): TemplateResult | typeof nothing {
  const cited = new Map<number, Mark>();
  const answer = { ...turn, finished: true, quoted: turn.model === QUOTING };
  replaceMarks(answer, (mark) => {
    if (!cited.has(mark.number)) cited.set(mark.number, mark);
    return "";
  });
  if (cited.size === 0) return nothing;
  const marks = [...cited.values()].sort((one, other) => one.number - other.number);
  return html`
    <div class="sources">
      <h4>${strings.sources}</h4>
      <ul>
        ${marks.map((mark) => {
          const page = mark.citation?.page ?? mark.source.page;
          return html`<li>
            <button
              type="button"
              class="source"
              aria-haspopup="dialog"
              @click=${(event: Event) => actions.open(mark, event.currentTarget as HTMLElement)}
            >
              <span class="number">${mark.number}</span>
              <bdi class="title">${mark.source.title || mark.source.filename}</bdi>
              ${page === null ? nothing : html`<span class="page">${strings.page(page)}</span>`}
              ${mark.source.widens ? html`<span class="page">${strings.nextTo(mark.source.widens)}</span>` : nothing}
            </button>
          </li>`;
        })}
      </ul>
    </div>
  `;
}

function problem(
  turn: Turn,
  strings: Strings,
  actions: TurnActions,
  last: boolean,
): TemplateResult | typeof nothing {
  if (!turn.problem) return nothing;
  return html`
    <div class="problem">
      ${warningIcon}
      <p>${sentence(turn.problem, strings)}</p>
      ${
        turn.problem.retryable && last
          ? html`<button type="button" class="button" @click=${() => actions.retry(turn)}>${strings.retry}</button>`
          : nothing
      }
    </div>
  `;
}
