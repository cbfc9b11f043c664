/** How Markdown looks. */

import { css } from "lit";

export const prose = css`
  .prose {
    overflow-wrap: anywhere;
    line-height: 1.6;
  }
  .prose > :first-child {
    margin-block-start: 0;
  }
  .prose > :last-child {
    margin-block-end: 0;
  }
  .prose p,
  .prose ul,
  .prose ol,
  .prose pre,
  .prose blockquote,
  .prose .scroll {
    margin-block: 0 0.75em;
    margin-inline: 0;
  }
  .prose h3,
  .prose h4,
  .prose h5,
  .prose h6 {
    margin-block: 1.1em 0.4em;
    font-size: 1em;
    font-weight: 650;
    line-height: 1.35;
  }
  .prose h3 {
    font-size: 1.12em;
  }
  .prose ul,
  .prose ol {
    padding-inline-start: 1.4em;
  }
  .prose li + li {
    margin-block-start: 0.25em;
  }
  .prose blockquote {
    padding-inline-start: 0.9em;
    border-inline-start: 3px solid var(--accent);
  }
  .prose blockquote > :last-child {
    margin-block-end: 0;
  }
  .prose a {
    color: var(--accent);
    text-underline-offset: 0.15em;
  }
  .prose code {
    padding: 0.1em 0.35em;
    border-radius: 5px;
    background: var(--sunken);
    font: 0.9em var(--mono);
  }
  .prose pre {
    overflow-x: auto;
    padding: 0.75em 1em;
    border: 1px solid var(--line);
    border-radius: var(--radius-small);
    background: var(--sunken);
    line-height: 1.5;
  }
  .prose pre code {
    padding: 0;
    background: none;
    overflow-wrap: normal;
  }
  .prose .scroll {
    overflow-x: auto;
    border: 1px solid var(--line);
    border-radius: var(--radius-small);
  }
  .prose table {
    inline-size: 100%;
    border-collapse: collapse;
    font-size: 0.94em;
    overflow-wrap: normal;
  }
  .prose th,
  .prose td {
    padding: 0.45em 0.75em;
    text-align: start;
    vertical-align: top;
  }
  .prose [align="right"] {
    text-align: end;
  }
  .prose [align="center"] {
    text-align: center;
  }
  .prose th {
    background: var(--sunken);
    font-weight: 600;
  }
  .prose tr + tr td,
  .prose thead + tbody td {
    border-block-start: 1px solid var(--line);
  }
  .prose hr {
    margin-block: 1.2em;
    border: 0;
    border-block-start: 1px solid var(--line);
  }
  .prose .together {
    white-space: nowrap;
  }
  .prose .mark {
    position: relative;
    min-inline-size: 1.55em;
    margin-inline: 0.2em 0.05em;
    padding: 0 0.4em;
    border: 1px solid transparent;
    border-radius: 6px;
    background: var(--accent-soft);
    color: var(--on-accent-soft);
    font-size: 0.76em;
    font-weight: 650;
    line-height: 1.6;
    vertical-align: 0.16em;
    font-variant-numeric: tabular-nums;
  }
  /* A finger needs more room than the eye. */
  .prose .mark::after {
    content: "";
    position: absolute;
    inset: -7px -4px;
  }
  .prose .mark:hover {
    background: var(--accent);
    color: var(--on-accent);
  }
`;
