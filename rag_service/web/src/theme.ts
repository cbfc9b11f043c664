/** Design tokens, and the few styles that every element shares. */

import { css, unsafeCSS } from "lit";

const light = unsafeCSS(`
  color-scheme: light;
  --scheme: light;
  --bg: #f6f7f5;
  --surface: #ffffff;
  --sunken: #f0f2ef;
  --text: #1a211f;
  --muted: #586461;
  --line: #dfe4e0;
  --line-strong: #7f8b87;
  --accent: #0b6659;
  --accent-hover: #08524a;
  --on-accent: #ffffff;
  --accent-soft: #e2f0ec;
  --on-accent-soft: #0a4f45;
  --danger: #b3261e;
  --danger-soft: #fcebe9;
  --warn: #7d4e00;
  --warn-soft: #fbf1dd;
  --highlight: #fdeeb5;
  --shadow: 0 1px 2px rgb(16 32 28 / 6%), 0 8px 28px rgb(16 32 28 / 12%);
  --shadow-small: 0 1px 2px rgb(16 32 28 / 8%);
`);

const dark = unsafeCSS(`
  color-scheme: dark;
  --scheme: dark;
  --bg: #111514;
  --surface: #191e1d;
  --sunken: #222827;
  --text: #e8edeb;
  --muted: #a2aeaa;
  --line: #323a38;
  --line-strong: #75817d;
  --accent: #74d4c0;
  --accent-hover: #93e2d1;
  --on-accent: #04231d;
  --accent-soft: #17342e;
  --on-accent-soft: #b5ebde;
  --danger: #ff9f96;
  --danger-soft: #3b1f1d;
  --warn: #f0c274;
  --warn-soft: #33291a;
  --highlight: #57491a;
  --shadow: 0 1px 2px rgb(0 0 0 / 40%), 0 12px 32px rgb(0 0 0 / 50%);
  --shadow-small: 0 1px 2px rgb(0 0 0 / 40%);
`);

/** For an element's own root, or for the document. `data-theme` outranks what the system prefers. */
export const tokens = css`
  :host,
  :root {
    ${light}
    --font: system-ui, -apple-system, "Segoe UI", Roboto, "Noto Sans", "Noto Sans Bengali", "Noto Sans Arabic",
      "Helvetica Neue", Arial, sans-serif;
    --mono: ui-monospace, "SF Mono", "Cascadia Code", Menlo, Consolas, "Liberation Mono", monospace;
    --radius: 12px;
    --radius-small: 8px;
    --ease: cubic-bezier(0.2, 0.7, 0.2, 1);
    --quick: 140ms;
  }
  @media (prefers-color-scheme: dark) {
    :host,
    :root {
      ${dark}
    }
  }
  :host([data-theme="light"]),
  :root[data-theme="light"] {
    ${light}
  }
  :host([data-theme="dark"]),
  :root[data-theme="dark"] {
    ${dark}
  }
`;

export const shared = css`
  *,
  *::before,
  *::after {
    box-sizing: border-box;
  }
  [hidden] {
    display: none !important;
  }
  button,
  input,
  select,
  textarea {
    font: inherit;
    color: inherit;
  }
  button {
    cursor: pointer;
  }
  button:disabled {
    cursor: default;
  }
  :focus-visible {
    outline: 2px solid var(--accent);
    outline-offset: 2px;
  }
  svg {
    display: block;
    inline-size: 1.25em;
    block-size: 1.25em;
    flex: none;
    fill: none;
    stroke: currentColor;
    stroke-width: 1.75;
    stroke-linecap: round;
    stroke-linejoin: round;
  }
  .unseen {
    position: absolute;
    inline-size: 1px;
    block-size: 1px;
    overflow: hidden;
    clip-path: inset(50%);
    white-space: nowrap;
  }
  .icon-button {
    display: inline-grid;
    place-items: center;
    inline-size: 40px;
    block-size: 40px;
    padding: 0;
    border: 1px solid transparent;
    border-radius: var(--radius-small);
    background: none;
    color: var(--muted);
    transition:
      background-color var(--quick) var(--ease),
      color var(--quick) var(--ease);
  }
  .icon-button:hover {
    background: var(--sunken);
    color: var(--text);
  }
  .button {
    display: inline-flex;
    align-items: center;
    justify-content: center;
    gap: 8px;
    min-block-size: 40px;
    padding: 8px 16px;
    border: 1px solid var(--line-strong);
    border-radius: var(--radius-small);
    background: var(--surface);
    font-weight: 550;
    text-decoration: none;
    transition: background-color var(--quick) var(--ease);
  }
  .button:hover:not(:disabled) {
    background: var(--sunken);
  }
  .button.primary {
    border-color: transparent;
    background: var(--accent);
    color: var(--on-accent);
  }
  .button.primary:hover:not(:disabled) {
    background: var(--accent-hover);
  }
  .button.danger {
    border-color: var(--danger);
    color: var(--danger);
  }
  .button.danger:hover:not(:disabled) {
    background: var(--danger-soft);
  }
  .button:disabled {
    opacity: 0.55;
  }
  @media (prefers-reduced-motion: reduce) {
    *,
    *::before,
    *::after {
      animation-duration: 0.01ms !important;
      animation-iteration-count: 1 !important;
      transition-duration: 0.01ms !important;
      scroll-behavior: auto !important;
    }
  }
`;
