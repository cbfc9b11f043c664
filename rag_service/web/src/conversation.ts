/** A conversation as it unfolds: what was asked, what came of it. Knows the API, and nothing of elements. */

import type { ChatApi } from "./api";
import { sliceOf } from "./citations";
import type { Delay } from "./follow";
import { Problem } from "./problem";
import { join, newTurn, turnsOf } from "./stored";
import type { Citation, FinishReason, Question, Rating, Reason, Sent, Source, TurnEvent } from "./types";

export type TurnState = "waiting" | "streaming" | "complete" | "failed";

export interface Turn {
  readonly key: number;
  readonly question: string;
  text: string;
  sources: readonly Source[];
  citations: readonly Citation[];
  state: TurnState;
  /** Why nothing comes at the moment, though it is seen to. */
  delay: Delay | null;
  /** What was sent for it from here. */
  sent: Sent | null;
  finish: FinishReason | null;
  model: string;
  degraded: boolean;
  /** The sentences that no source was found to support. */
  unsupported: readonly string[];
  problem: Problem | null;
  messageId: string | null;
  questionId: string | null;
  /** All answers to the question, and all wordings of it behind the same answer, by their ids, the oldest first. */
  siblings: readonly string[];
  questionSiblings: readonly string[];
  rating: Rating | null;
  reason: Reason | null;
}

/** How long a stopped answer may take to say that it has stopped. */
const STOP_MILLISECONDS = 3000;

export class Conversation {
  turns: readonly Turn[] = [];
  #id: string | null = null;
  #run: { id: string | null; abort: AbortController; stopped: boolean } | null = null;
  #keys = 0;

  constructor(
    private readonly api: ChatApi,
    private readonly changed: () => void,
  ) {}

  get busy(): boolean {
    return this.#run !== null;
  }

  /** Ask, and follow the answer to its end. Never throws: what goes wrong stands in the turn. */
  async ask(question: string): Promise<void> {
    if (this.busy) return;
    const turn = newTurn(++this.#keys, question);
    const asked = this.#asFollowUp(question);
    this.turns = [...this.turns, turn];
    await this.#follow(turn, asked);
  }

  /** Have answered what failed last, in the place of the failure: anew, or, where no answer had begun, sent again. */
  async retry(turn: Turn): Promise<void> {
    if (this.busy || turn !== this.turns.at(-1) || turn.sent === null) return;
    if (turn.messageId !== null) return this.regenerate(turn);
    const again = newTurn(++this.#keys, turn.question);
    this.turns = [...this.turns.slice(0, -1), again];
    await this.#follow(again, turn.sent.question, turn.sent.key);
  }

  /** Have a question answered once more; the answer it has stays, as do the turns behind it. */
  async regenerate(turn: Turn): Promise<void> {
    if (turn.messageId === null) return;
    await this.#branch(turn, turn.question, { regenerate_message_id: turn.messageId });
  }

  /** Ask a question in other words, in the place where it was asked. */
  async edit(turn: Turn, question: string): Promise<void> {
    const parent = this.#answerBefore(this.turns.indexOf(turn));
    await this.#branch(turn, question, { message: question, parent_message_id: parent });
  }

  async #branch(turn: Turn, question: string, asked: Question): Promise<void> {
    const at = this.turns.indexOf(turn);
    const id = this.#id;
    if (this.busy || id === null || at < 0) return;
    const anew = newTurn(++this.#keys, question);
    this.turns = [...this.turns.slice(0, at), anew];
    await this.#follow(anew, { ...asked, conversation_id: id });
    if (this.#id !== id || anew.messageId === null) return;
    // What else there is in this place. Without it the chat goes on as well.
    const stored = await this.api.messages(id, anew.messageId).catch(() => []);
    join(this.turns, stored);
    this.changed();
  }

  /** Look at another branch: the newest that goes through this message. */
  async show(messageId: string): Promise<void> {
    const id = this.#id;
    if (this.busy || id === null) return;
    const stored = await this.api.messages(id, messageId).catch(() => null);
    if (this.#id !== id || this.busy || stored === null) return;
    // In the place of another, a turn keeps its key: the button that was pressed keeps the focus.
    this.turns = turnsOf(stored, (at) => this.turns[at]?.key ?? ++this.#keys);
    this.changed();
  }

  /** Say what to think of an answer; where it cannot be said, it is as before. */
  async rate(turn: Turn, rating: Rating | null, reason: Reason | null): Promise<void> {
    if (turn.messageId === null) return;
    const before = { rating: turn.rating, reason: turn.reason };
    Object.assign(turn, { rating, reason });
    this.changed();
    await this.api.rate(turn.messageId, rating, reason).catch(() => {
      Object.assign(turn, before);
      this.changed();
    });
  }

  /** Stop the answer under way; what was said of it stays. */
  async stop(): Promise<void> {
    const run = this.#run;
    if (!run || run.stopped) return;
    run.stopped = true;
    const giveUp = setTimeout(() => run.abort.abort(), STOP_MILLISECONDS);
    run.abort.signal.addEventListener("abort", () => clearTimeout(giveUp));
    if (run.id === null) run.abort.abort();
    else await this.api.stop(run.id).catch(() => run.abort.abort());
  }

  /** Forget it all and begin anew. */
  reset(): void {
    this.#run?.abort.abort();
    this.#run = null;
    this.#id = null;
    this.turns = [];
    this.changed();
  }

  /** A question follows the last answer that did not fail; where there is none, it is a new beginning. */
  #asFollowUp(message: string): Question {
    const parent = this.#answerBefore(this.turns.length);
    if (this.#id === null || parent === null) return { message };
    return { message, conversation_id: this.#id, parent_message_id: parent };
  }

  #answerBefore(at: number): string | null {
    const before = this.turns.slice(0, at);
    return before.findLast(({ state, messageId }) => state === "complete" && messageId)?.messageId ?? null;
  }

  async #follow(turn: Turn, question: Question, key = newKey()): Promise<void> {
    turn.sent = { question, key };
    const run = { id: null as string | null, abort: new AbortController(), stopped: false };
    this.#run = run;
    this.changed();
    try {
      const delayed = (by: Delay | null) => {
        turn.delay = by;
        this.changed();
      };
      for await (const event of this.api.ask(turn.sent, run.abort.signal, delayed)) {
        if (event.event === "start") run.id = event.data.run_id;
        this.#take(turn, event);
        this.changed();
      }
    } catch (error) {
      if (run.stopped) this.#end(turn, "stopped");
      else if (!run.abort.signal.aborted) this.#fail(turn, error);
    } finally {
      turn.delay = null;
      run.abort.abort(); // clears the timer of a stop
      if (this.#run === run) {
        this.#run = null;
        this.changed();
      }
    }
  }

  #take(turn: Turn, { event, data }: TurnEvent): void {
    switch (event) {
      case "start":
        this.#id = data.conversation_id;
        turn.messageId = data.message_id;
        break;
      case "sources":
        turn.sources = data.sources;
        break;
      case "delta":
        turn.text += data.text;
        turn.state = "streaming";
        break;
      case "citation":
        turn.citations = [...turn.citations, data];
        break;
      case "done":
        turn.model = data.model;
        turn.degraded = data.degraded;
        turn.unsupported = data.unsupported.map((span) => sliceOf(turn.text, span));
        this.#end(turn, data.finish_reason);
        break;
      case "error":
        this.#fail(turn, new Problem(data.code, data.detail, data.retryable));
        break;
    }
  }

  #end(turn: Turn, finish: FinishReason): void {
    turn.state = "complete";
    turn.finish = finish;
  }

  #fail(turn: Turn, error: unknown): void {
    turn.state = "failed";
    turn.problem = error instanceof Problem ? error : new Problem("unexpected", "", true);
  }
}

/** `crypto.randomUUID` is there on secure pages alone. */
function newKey(): string {
  return Array.from(crypto.getRandomValues(new Uint32Array(4)), (part) => part.toString(36)).join("-");
}
