/**
 * Markdown to nodes that are safe to show: rendered, then sanitised, then rid of every link that could do harm.
 * An answer may hold anything a document says. Raw HTML is shown as the text it is, images are their alternative
 * text, and nothing is ever fetched.
 */

import createDOMPurify from "dompurify";
import { Marked } from "marked";

import { type Answer, type Mark, replaceMarks } from "./citations";
import { settle } from "./stream-tail";

const marked = new Marked({
  gfm: true,
  tokenizer: {
    html: () => undefined,
    tag: (source) => {
      const found = /^<br\s*\/?>/i.exec(source);
      return found ? ({ type: "br", raw: found[0] } as never) : undefined;
    },
    // `[1]: https://…` would turn the citation marks of an answer into links.
    def: () => undefined,
    reflink: () => undefined,
  },
  renderer: {
    image: ({ text }) => escapeText(text),
    checkbox: ({ checked }) => (checked ? "☑ " : "☐ "),
    heading({ tokens, depth }) {
      const level = Math.min(depth + 2, 6); // an answer is a part of a page that has headings of its own
      return `<h${level}>${this.parser.parseInline(tokens)}</h${level}>`;
    },
  },
});

const ALLOWED_TAGS = [
  ..."p br strong em del code pre ul ol li blockquote h3 h4 h5 h6 hr table thead tbody tr th td a".split(" "),
];
const ALLOWED_ADDRESS = /^(?:https?:\/\/|mailto:)/i;

let purify: ReturnType<typeof createDOMPurify> | undefined;

function sanitised(html: string): DocumentFragment {
  purify ??= createDOMPurify(window);
  return purify.sanitize(html, {
    ALLOWED_TAGS,
    ALLOWED_ATTR: ["href", "start", "align"],
    ALLOWED_URI_REGEXP: ALLOWED_ADDRESS,
    ALLOW_ARIA_ATTR: false,
    ALLOW_DATA_ATTR: false,
    RETURN_DOM_FRAGMENT: true,
  });
}

export interface Labels {
  source(mark: Mark): string;
  table: string;
  code: string;
}

export interface Rendered {
  nodes: DocumentFragment;
  /** What the buttons stand for: `data-mark` is an index into it. */
  marks: readonly Mark[];
}

/** An answer as nodes; one that is still being written without its half-written end. */
export function render(answer: Answer, labels: Labels): Rendered {
  const marks: Mark[] = [];
  // Between two characters for private use a mark survives the rendering as what it is: text.
  const own = { ...answer, text: answer.text.replace(/[\uE000\uE001]/g, "\uFFFD") };
  const text = replaceMarks(own, (mark) => `[\uE000${marks.push(mark) - 1}\uE001]`);
  const nodes = sanitised(marked.parse(answer.finished ? text : settle(text), { async: false }));
  disarmLinks(nodes);
  nodes.normalize();
  placeMarks(nodes, marks, labels);
  for (const block of nodes.querySelectorAll("p, li, blockquote, th, td, h3, h4, h5, h6")) {
    block.setAttribute("dir", "auto");
  }
  makeScrollable(nodes, labels);
  return { nodes, marks };
}

function disarmLinks(nodes: DocumentFragment): void {
  for (const link of nodes.querySelectorAll("a")) {
    const address = link.getAttribute("href") ?? "";
    if (!ALLOWED_ADDRESS.test(address) || !URL.canParse(address)) {
      link.replaceWith(...link.childNodes);
      continue;
    }
    link.target = "_blank";
    link.rel = "noopener noreferrer nofollow";
  }
}

const PLACED = /\[?\uE000(\d+)\uE001\]?/g;

function placeMarks(nodes: DocumentFragment, marks: readonly Mark[], labels: Labels): void {
  const written = (text: string) =>
    text.replace(PLACED, (whole, index) =>
      whole.replace(/\uE000\d+\uE001/, `${marks[Number(index)]?.number}`),
    );
  for (const link of nodes.querySelectorAll("a")) {
    link.setAttribute("href", written(decodeMarks(link.getAttribute("href") ?? "")));
  }
  const walker = document.createTreeWalker(nodes, NodeFilter.SHOW_TEXT);
  const texts: Text[] = [];
  while (walker.nextNode()) texts.push(walker.currentNode as Text);
  for (const node of texts) {
    if (!node.data.includes("\uE000")) continue;
    if (node.parentElement?.closest("a, code, pre")) node.data = written(node.data);
    else node.replaceWith(...withButtons(node.data, marks, labels));
  }
}

/** marked percent-encodes addresses. */
function decodeMarks(address: string): string {
  return address.replace(/%EE%80%80/gi, "\uE000").replace(/%EE%80%81/gi, "\uE001");
}

function withButtons(text: string, marks: readonly Mark[], labels: Labels): Node[] {
  const parts = text.split(/\[?\uE000(\d+)\uE001\]?/);
  return parts.flatMap((part, place): Node[] => {
    const mark = marks[Number(parts[place + 1])];
    if (place % 2 === 1) return [];
    if (!mark) return part === "" ? [] : [document.createTextNode(part)];
    // A mark stays with the word before it: it never begins a line.
    const [, before = "", word = ""] = /^([\s\S]*?)(\S{0,24}\s*)$/.exec(part) ?? [];
    const together = document.createElement("span");
    together.className = "together";
    together.append(word, button(parts[place + 1] ?? "", mark, labels));
    return before === "" ? [together] : [document.createTextNode(before), together];
  });
}

function button(index: string, mark: Mark, labels: Labels): HTMLButtonElement {
  const made = document.createElement("button");
  made.type = "button";
  made.className = "mark";
  made.dataset.mark = index;
  made.setAttribute("aria-label", labels.source(mark));
  made.setAttribute("aria-haspopup", "dialog");
  made.textContent = String(mark.number);
  return made;
}

/** What may be wider than its place can be reached and scrolled with the keyboard. */
function makeScrollable(nodes: DocumentFragment, labels: Labels): void {
  for (const table of nodes.querySelectorAll("table")) {
    const around = document.createElement("div");
    around.className = "scroll";
    table.replaceWith(around);
    around.append(table);
    reach(around, labels.table);
  }
  for (const code of nodes.querySelectorAll("pre")) reach(code, labels.code);
}

function reach(element: Element, label: string): void {
  element.setAttribute("tabindex", "0");
  element.setAttribute("role", "group");
  element.setAttribute("aria-label", label);
}

function escapeText(text: string): string {
  const names: Record<string, string> = {
    "&": "&amp;",
    "<": "&lt;",
    ">": "&gt;",
    '"': "&quot;",
    "'": "&#39;",
  };
  return text.replace(/[&<>"']/g, (character) => names[character] ?? character);
}
