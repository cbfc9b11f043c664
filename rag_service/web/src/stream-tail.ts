/**
 * Half-written Markdown, so that it does not flicker: what cannot yet be told is held back, what is open is closed.
 * Only the last block can be unfinished; the finished answer never passes through here.
 */

/** The text so far, fit to be shown. */
export function settle(text: string): string {
  if (insideFence(text)) return text;
  const cut = [...text.matchAll(/\n[ \t]*\n/g)].at(-1)?.index ?? 0;
  return text.slice(0, cut) + settleBlock(text.slice(cut));
}

function insideFence(text: string): boolean {
  let open = "";
  for (const [, fence = ""] of text.matchAll(/^[ \t]{0,3}(`{3,}|~{3,})/gm)) {
    if (open === "") open = fence;
    else if (fence.startsWith(open)) open = "";
  }
  return open !== "";
}

/** A line of marks alone: the begin of a list, a heading, a rule or a quote, one cannot say which. */
const MARKS_ALONE = /(^|\n)[ \t]*(?:[-=*+_#>|`~]+|\d{1,9}[.)]?)[ \t]*$/;

function settleBlock(block: string): string {
  const known = block.replace(MARKS_ALONE, "$1").replace(/\n$/, "");
  if (isTableWithoutRule(known)) return "";
  return closeInline(closeLink(known));
}

function isTableWithoutRule(block: string): boolean {
  const lines = block.trimStart().split("\n");
  return lines[0]?.startsWith("|") === true && !/^\|?[ \t]*:?-+:?[ \t]*\|[\s:|-]*$/.test(lines[1] ?? "");
}

/** `[text](https://exam` is shown as `text` until the address is whole; an image not at all. */
function closeLink(block: string): string {
  return block
    .replace(/!\[[^\]\n]*(?:\](?:\([^)\n]*)?)?$/, "")
    .replace(/\[([^\]\n\uE000]+)\]\([^)\n]*$/, "$1")
    .replace(/\[(?=[^\]\n]*$)/, "");
}

const INLINE = /\\[\s\S]|`+|\*\*\*|\*\*|\*|~~/g;

function closeInline(block: string): string {
  const open: string[] = [];
  const listBullet = /(^|\n)[ \t]*$/;
  for (const match of block.matchAll(INLINE)) {
    const mark = match[0];
    if (mark.startsWith("\\")) continue;
    const code = open.at(-1)?.startsWith("`") === true;
    if (open.at(-1) === mark) open.pop();
    else if (code) continue;
    else if (mark === "*" && opensNothing(block, match.index, listBullet)) continue;
    else open.push(mark);
  }
  const last = open.at(-1);
  if (last === undefined) return block;
  // A mark with nothing behind it yet is left out; the others are closed, the innermost first.
  const bare = block.endsWith(last) ? block.slice(0, -last.length) : block;
  const marks = bare === block ? open : open.slice(0, -1);
  return (marks.length > 0 ? bare.trimEnd() : bare) + marks.toReversed().join("");
}

function opensNothing(block: string, at: number, listBullet: RegExp): boolean {
  return listBullet.test(block.slice(0, at)) || /^\s/.test(block.slice(at + 1));
}
