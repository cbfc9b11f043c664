import assert from "node:assert/strict";
import { test } from "node:test";

import { settle } from "../src/stream-tail";

const CASES: [written: string, shown: string][] = [
  ["", ""],
  ["Plain words", "Plain words"],
  ["Some **bold", "Some **bold**"],
  ["Some **", "Some"],
  ["Some **bold** and", "Some **bold** and"],
  ["An *emphasis", "An *emphasis*"],
  ["2 * 3", "2 * 3"],
  ["* item\n* next", "* item\n* next"],
  ["Use `code", "Use `code`"],
  ["Use `a ** b", "Use `a ** b`"],
  ["Words\n-", "Words"],
  ["Words\n--", "Words"],
  ["Words\n==", "Words"],
  ["Words\n\n#", "Words\n"],
  ["- one\n-", "- one"],
  ["1. one\n2", "1. one"],
  ["See [the guide](https://exam", "See the guide"],
  ["See [the gui", "See the gui"],
  ["See [the guide](https://example.org)", "See [the guide](https://example.org)"],
  ["A picture ![of a", "A picture "],
  ["A picture ![of a](https://ex", "A picture "],
  ["Head\n\n| a | b |", "Head"],
  ["Head\n\n| a | b |\n| -", "Head"],
  ["| a | b |\n| - | - |\n| 1", "| a | b |\n| - | - |\n| 1"],
  ["```python\nprint('**", "```python\nprint('**"],
  ["```\ncode\n```\n**bo", "```\ncode\n```\n**bo**"],
  ["Done **bold**\n\nThen **mo", "Done **bold**\n\nThen **mo**"],
];

for (const [written, shown] of CASES) {
  test(`${JSON.stringify(written)} is shown as ${JSON.stringify(shown)}`, () => {
    assert.equal(settle(written).trimEnd(), shown.trimEnd());
  });
}
