/** What is stored of a conversation, as turns on the screen. */

import { sliceOf } from "./citations";
import type { Turn } from "./conversation";
import type { StoredMessage } from "./types";

const ENDED = new Set<string | null>(["stop", "length", "refused", "stopped"]);

/** The turns of one branch: each question with the answer under it, if there is one. */
export function turnsOf(messages: readonly StoredMessage[], key: (at: number) => number): Turn[] {
  const turns: Turn[] = [];
  for (const message of messages) {
    if (message.role === "user") turns.push(asked(message, key(turns.length)));
    else if (turns.length > 0) take(turns[turns.length - 1] as Turn, message);
  }
  return turns;
}

/** Tell the turns what is known of their siblings and of what was said of them; their text stays. */
export function join(turns: readonly Turn[], messages: readonly StoredMessage[]): void {
  const byId = new Map(messages.map((message) => [message.id, message]));
  for (const turn of turns) {
    const answer = byId.get(turn.messageId ?? "");
    const question = byId.get(answer?.parent_id ?? "");
    if (!answer || !question) continue;
    turn.questionId = question.id;
    turn.questionSiblings = question.sibling_ids;
    turn.siblings = answer.sibling_ids;
  }
}

export function newTurn(key: number, question: string): Turn {
  return {
    key,
    question,
    text: "",
    sources: [],
    citations: [],
    state: "waiting",
    delay: null,
    sent: null,
    finish: null,
    model: "",
    degraded: false,
    unsupported: [],
    problem: null,
    messageId: null,
    questionId: null,
    siblings: [],
    questionSiblings: [],
    rating: null,
    reason: null,
  };
}

function asked(message: StoredMessage, key: number): Turn {
  return {
    ...newTurn(key, message.content),
    state: "complete",
    questionId: message.id,
    questionSiblings: message.sibling_ids,
  };
}

function take(turn: Turn, answer: StoredMessage): void {
  turn.messageId = answer.id;
  turn.siblings = answer.sibling_ids;
  turn.text = answer.content;
  turn.sources = answer.sources;
  turn.citations = answer.citations;
  turn.model = answer.model ?? "";
  turn.degraded = answer.degraded;
  turn.finish = ENDED.has(answer.finish_reason) ? answer.finish_reason : "stopped";
  turn.unsupported = answer.unsupported.map((span) => sliceOf(answer.content, span));
  turn.rating = answer.feedback?.rating ?? null;
  turn.reason = answer.feedback?.reason ?? null;
}
