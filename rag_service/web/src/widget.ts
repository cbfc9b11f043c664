/**
 * The widget: `<script src="https://HOST/widget.js" data-embed="ID" defer></script>`.
 * Optional: `data-lang` (else the page's language), `data-theme` (`light` or `dark`, else as the system prefers),
 * and who the visitor is: `data-identity`, a token that the site's backend signed, or a function `ragIdentity` of the
 * page that gives one whenever it is called, or null while nobody is signed in.
 */

import type { Identify } from "./session";
import { WidgetElement } from "./widget-element";

function findScript(): HTMLScriptElement | null {
  const current = document.currentScript;
  if (current instanceof HTMLScriptElement && current.dataset.embed) return current;
  return document.querySelector<HTMLScriptElement>('script[data-embed][src*="widget.js"]');
}

function start(script: HTMLScriptElement): void {
  if (document.querySelector(WidgetElement.tag)) return; // included twice
  const { embed, lang, theme } = script.dataset;
  const widget = document.createElement(WidgetElement.tag) as WidgetElement;
  widget.configure({
    origin: new URL(script.src).origin,
    embed: embed ?? "",
    lang: lang ?? null,
    identify: () => identity(script),
  });
  if (theme === "light" || theme === "dark") widget.dataset.theme = theme;
  document.body.append(widget);
}

function identity(script: HTMLScriptElement): ReturnType<Identify> {
  const { ragIdentity } = globalThis as { ragIdentity?: unknown };
  return typeof ragIdentity === "function" ? (ragIdentity as Identify)() : script.dataset.identity;
}

const script = findScript();
if (!script) {
  // biome-ignore lint/suspicious/noConsole: the one who puts the snippet on a page looks there
  console.error("widget.js: the script element needs data-embed with the id of the embed.");
} else if (document.body) {
  start(script);
} else {
  addEventListener("DOMContentLoaded", () => start(script));
}
