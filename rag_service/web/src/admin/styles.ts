/** What the console's views share. */

import { css } from "lit";

export const consoleStyles = css`
  :host {
    display: block;
  }
  h1,
  h2,
  h3 {
    line-height: 1.25;
    overflow-wrap: anywhere;
  }
  h1 {
    margin: 0;
    font-size: 1.6em;
    font-weight: 680;
    letter-spacing: -0.01em;
    outline: none;
  }
  h2 {
    margin: 0 0 12px;
    font-size: 1.1em;
    font-weight: 650;
  }
  a {
    color: var(--accent);
    text-underline-offset: 0.15em;
  }
  .muted {
    color: var(--muted);
  }
  .heading {
    display: flex;
    flex-wrap: wrap;
    align-items: center;
    justify-content: space-between;
    gap: 12px;
    margin-block-end: 20px;
  }
  .heading p {
    margin: 4px 0 0;
    color: var(--muted);
  }
  .back {
    display: inline-flex;
    align-items: center;
    gap: 6px;
    margin-block-end: 12px;
    padding-block: 6px;
    font-size: 0.9375em;
    text-decoration: none;
  }
  .back:hover {
    text-decoration: underline;
  }
  .card {
    padding: 20px;
    border: 1px solid var(--line);
    border-radius: var(--radius);
    background: var(--surface);
  }
  .empty {
    display: grid;
    justify-items: center;
    gap: 6px;
    padding: 48px 20px;
    border: 1px dashed var(--line-strong);
    border-radius: var(--radius);
    color: var(--muted);
    text-align: center;
    text-wrap: balance;
  }
  .empty svg {
    inline-size: 32px;
    block-size: 32px;
    margin-block-end: 6px;
    color: var(--accent);
  }
  .empty strong {
    color: var(--text);
    font-weight: 620;
  }
  .empty p {
    margin: 0;
  }
  .loading {
    padding: 40px 20px;
    color: var(--muted);
    text-align: center;
    animation: late 600ms; /* what is quick needs no word */
  }
  @keyframes late {
    from,
    60% {
      opacity: 0;
    }
  }
  .alert {
    display: flex;
    flex-wrap: wrap;
    align-items: center;
    gap: 10px 12px;
    margin-block-end: 16px;
    padding: 12px 14px;
    border: 1px solid transparent;
    border-radius: var(--radius);
    background: var(--danger-soft);
    color: var(--danger);
  }
  .alert p {
    flex: 1;
    min-inline-size: 60%;
    margin: 0;
    color: var(--text);
    overflow-wrap: anywhere;
  }
  .state {
    display: inline-flex;
    align-items: center;
    gap: 6px;
    padding: 2px 9px;
    border: 1px solid transparent;
    border-radius: 99px;
    background: var(--sunken);
    color: var(--muted);
    font-size: 0.8125em;
    font-weight: 600;
    white-space: nowrap;
  }
  .state.ready {
    background: var(--accent-soft);
    color: var(--on-accent-soft);
  }
  .state.failed {
    background: var(--danger-soft);
    color: var(--danger);
  }
  .state.pending {
    background: var(--warn-soft);
    color: var(--warn);
  }
  form {
    display: grid;
    gap: 14px;
  }
  label,
  .field {
    display: grid;
    gap: 5px;
    font-weight: 560;
  }
  .hint {
    color: var(--muted);
    font-size: 0.875em;
    font-weight: 400;
  }
  input:not([type="checkbox"], [type="file"]),
  select,
  textarea {
    inline-size: 100%;
    min-block-size: 42px;
    padding: 8px 12px;
    border: 1px solid var(--line-strong);
    border-radius: var(--radius-small);
    background: var(--surface);
    font-size: max(1em, 16px);
    font-weight: 400;
  }
  textarea {
    min-block-size: 84px;
    resize: vertical;
  }
  input:focus-visible,
  select:focus-visible,
  textarea:focus-visible {
    border-color: var(--accent);
    outline-offset: -1px;
  }
  .row {
    display: grid;
    grid-template-columns: repeat(auto-fit, minmax(min(240px, 100%), 1fr));
    gap: 14px;
    align-items: start;
  }
  .actions {
    display: flex;
    flex-wrap: wrap;
    gap: 10px;
  }
  .more {
    margin-block-start: 16px;
    text-align: center;
  }
  pre,
  .mono {
    font-family: var(--mono);
    font-size: 0.875em;
  }
  progress {
    appearance: none;
    display: block;
    inline-size: 100%;
    block-size: 6px;
    overflow: hidden;
    border: 0;
    border-radius: 3px;
    background: var(--line);
  }
  progress::-webkit-progress-bar {
    background: var(--line);
  }
  progress::-webkit-progress-value {
    border-radius: 3px;
    background: var(--accent);
    transition: inline-size 200ms linear;
  }
  progress::-moz-progress-bar {
    border-radius: 3px;
    background: var(--accent);
  }
  progress:indeterminate {
    animation: working 1.1s ease-in-out infinite alternate;
  }
  @keyframes working {
    from {
      background: var(--line);
    }
    to {
      background: var(--accent);
    }
  }
`;
