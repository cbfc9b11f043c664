/** The shapes of the public API that the chat reads, named as on the wire. */

export interface Source {
  number: number;
  document_id: string;
  chunk_id: string;
  filename: string;
  title: string;
  headings: readonly string[];
  page: number | null;
  score: number;
  text: string;
  context: string;
  /** The number of the hit that this one only stands next to. */
  widens?: number | null;
}

/** Spans count characters (code points), not UTF-16 units. */
export type Span = readonly [start: number, end: number];

export interface Citation {
  number: number;
  document_id: string;
  chunk_id: string;
  answer_span: Span;
  quote: string;
  source_span: Span;
  page: number | null;
}

export type FinishReason = "stop" | "length" | "refused" | "stopped";

export type TurnEvent =
  | { event: "start"; data: { run_id: string; conversation_id: string; message_id: string } }
  | { event: "sources"; data: { sources: Source[] } }
  | { event: "delta"; data: { text: string } }
  | { event: "citation"; data: Citation }
  | {
      event: "done";
      data: {
        message_id: string;
        finish_reason: FinishReason;
        model: string;
        degraded: boolean;
        unsupported: readonly Span[];
      };
    }
  | { event: "error"; data: { code: string; detail: string; retryable: boolean } };

/** A question, or, without a message, the answer that is to be made anew. */
export interface Question {
  message?: string;
  conversation_id?: string;
  /** The answer it follows; null makes it a first question. */
  parent_message_id?: string | null;
  regenerate_message_id?: string;
}

/** A question on its way, and the key under which it may be sent again without being asked twice. */
export interface Sent {
  question: Question;
  key: string;
}

export type Rating = "like" | "dislike";

export const REASONS = [
  "wrong",
  "incomplete",
  "outdated",
  "irrelevant_sources",
  "refused_wrongly",
  "other",
] as const;

export type Reason = (typeof REASONS)[number];

export interface StoredMessage {
  id: string;
  parent_id: string | null;
  sibling_ids: readonly string[];
  role: "user" | "assistant";
  content: string;
  sources: Source[];
  citations: Citation[];
  model: string | null;
  finish_reason: FinishReason | null;
  degraded: boolean;
  unsupported: readonly Span[];
  feedback: { rating: Rating; reason: Reason | null } | null;
}

export interface VisitorToken {
  token: string;
  expires_in: number;
  name: string;
  knowledge_base: string;
}
