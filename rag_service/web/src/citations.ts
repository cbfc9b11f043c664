/** Which passage stands behind each `[n]` of an answer. */

import type { Citation, Source, Span } from "./types";

/** A mark in an answer and what it points at: a source, and the very words where the server named them. */
export interface Mark {
  number: number;
  source: Source;
  citation: Citation | null;
}

export interface Answer {
  text: string;
  sources: readonly Source[];
  citations: readonly Citation[];
  /** No further citation will come. */
  finished: boolean;
  /** The answer is made of quotes: what looks like a mark and has no citation is part of a quote. */
  quoted: boolean;
}

const MARK = /\[(\d{1,3})\]/g;

/** `replace` sees each mark that points at a source, in order, and says what stands in its place. */
export function replaceMarks(answer: Answer, replace: (mark: Mark) => string): string {
  const sources = new Map(answer.sources.map((source) => [source.number, source]));
  let seen = 0;
  let characters = 0;
  return answer.text.replace(MARK, (written, digits: string, at: number) => {
    characters += lengthOf(answer.text.slice(seen, at));
    seen = at;
    const number = Number(digits);
    const source = sources.get(number);
    const citation = source ? citationAt(answer, number, characters) : null;
    if (!source || (!citation && answer.finished && answer.quoted)) return written;
    return replace({ number, source, citation });
  });
}

/** The citation of that number whose claim ends right before `at`, other marks and spaces aside. */
function citationAt(answer: Answer, number: number, at: number): Citation | null {
  const before = answer.citations.filter((one) => one.number === number && one.answer_span[1] <= at);
  const nearest = before.at(-1);
  if (!nearest) return null;
  const between = sliceOf(answer.text, [nearest.answer_span[1], at]);
  return /^(?:\s|\[\d{1,3}\])*$/.test(between) ? nearest : null;
}

/** The passage in three: before the quote, the quote, behind it. The quote is empty where it cannot be found. */
export function passage({ source, citation }: Mark): { before: string; quote: string; after: string } {
  if (citation && sliceOf(source.text, citation.source_span) === citation.quote) {
    const [start, end] = citation.source_span;
    return {
      before: sliceOf(source.text, [0, start]),
      quote: citation.quote,
      after: sliceOf(source.text, [end, Number.POSITIVE_INFINITY]),
    };
  }
  return { before: source.text, quote: "", after: "" };
}

function lengthOf(text: string): number {
  let length = 0;
  for (const _ of text) length += 1;
  return length;
}

export function sliceOf(text: string, [start, end]: Span): string {
  return [...text].slice(start, end).join("");
}
