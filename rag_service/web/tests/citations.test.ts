import assert from "node:assert/strict";
import { test } from "node:test";

import { type Answer, type Mark, passage, replaceMarks } from "../src/citations";
import type { Citation, Source } from "../src/types";

function source(number: number, text = ""): Source {
  return {
    number,
    document_id: "d",
    chunk_id: "c",
    filename: "f",
    title: "t",
    headings: [],
    page: null,
    score: 1,
    text,
    context: "",
  };
}

function citation(
  number: number,
  answer_span: [number, number],
  quote = "",
  source_span: [number, number] = [0, 0],
): Citation {
  return { number, document_id: "d", chunk_id: "c", answer_span, quote, source_span, page: null };
}

function marksOf(answer: Answer): [string, Mark[]] {
  const marks: Mark[] = [];
  const text = replaceMarks(answer, (mark) => {
    marks.push(mark);
    return "·";
  });
  return [text, marks];
}

test("a mark finds its own citation, by characters and not by UTF-16 units", () => {
  const text = "🌒🌒 one [1][2]. Two [1].";
  const citations = [citation(1, [0, 6]), citation(2, [0, 6]), citation(1, [15, 18])];
  const [shown, marks] = marksOf({
    text,
    sources: [source(1), source(2)],
    citations,
    finished: true,
    quoted: false,
  });
  assert.equal(shown, "🌒🌒 one ··. Two ·.");
  assert.deepEqual(
    marks.map((mark) => mark.citation),
    citations,
  );
});

test("a number that is no source stays what it is", () => {
  const [shown] = marksOf({
    text: "See [7].",
    sources: [source(1)],
    citations: [],
    finished: true,
    quoted: false,
  });
  assert.equal(shown, "See [7].");
});

test("in an answer of quotes, a mark without a citation is part of a quote", () => {
  const answer = {
    text: "> It says [1] here [1]",
    sources: [source(1)],
    citations: [citation(1, [2, 18])],
    quoted: true,
  };
  assert.equal(marksOf({ ...answer, finished: true })[0], "> It says [1] here ·");
});

test("a passage is cut in three, and only where the quote truly stands", () => {
  const found = {
    number: 1,
    source: source(1, "🌒 a. Moon. b"),
    citation: citation(1, [0, 1], "Moon.", [5, 10]),
  };
  assert.deepEqual(passage(found), { before: "🌒 a. ", quote: "Moon.", after: " b" });
  const lost = { ...found, citation: citation(1, [0, 1], "Sun.", [5, 10]) };
  assert.deepEqual(passage(lost), { before: "🌒 a. Moon. b", quote: "", after: "" });
});
