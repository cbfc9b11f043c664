import { css } from "lit";

export const panelStyles = css`
  :host {
    display: block;
    block-size: 100%;
    color: var(--text);
    font: 400 16px / 1.5 var(--font);
    text-align: start;
  }
  .chat {
    position: relative;
    display: flex;
    block-size: 100%;
    overflow: hidden;
    background: var(--surface);
  }
  .main {
    display: flex;
    flex: 1;
    flex-direction: column;
    min-inline-size: 0;
  }
  .head {
    display: flex;
    flex: none;
    align-items: center;
    gap: 4px;
    padding-block: max(10px, env(safe-area-inset-top)) 10px;
    padding-inline: max(16px, env(safe-area-inset-left)) max(10px, env(safe-area-inset-right));
    border-block-end: 1px solid var(--line);
  }
  .logo {
    display: grid;
    flex: none;
    place-items: center;
    inline-size: 32px;
    block-size: 32px;
    margin-inline-end: 8px;
    border-radius: 9px;
    background: var(--accent);
    color: var(--on-accent);
  }
  .logo svg {
    inline-size: 18px;
    block-size: 18px;
  }
  .name {
    flex: 1;
    min-inline-size: 0;
    margin: 0;
    overflow: hidden;
    font-size: 1em;
    font-weight: 650;
    line-height: 1.3;
    text-overflow: ellipsis;
    white-space: nowrap;
  }
  .head .icon-button:disabled {
    visibility: hidden;
  }
  .log {
    flex: 1;
    min-block-size: 0;
    overflow: auto;
    overscroll-behavior: contain;
    outline-offset: -2px;
  }
  .turns {
    display: flex;
    flex-direction: column;
    gap: 28px;
    min-block-size: 100%;
    padding: 20px 16px;
  }
  :host([layout="page"]) .turns,
  :host([layout="page"]) .foot {
    inline-size: 100%;
    max-inline-size: 760px;
    margin-inline: auto;
  }
  :host([layout="page"]) .turns {
    padding-block: 32px;
  }
  .greeting {
    margin: auto;
    max-inline-size: 26em;
    padding: 16px;
    text-align: center;
    animation: appear 240ms var(--ease);
  }
  .greeting p {
    margin: 0;
    color: var(--muted);
    text-wrap: balance;
  }
  .greeting .hello {
    margin-block-end: 8px;
    color: var(--text);
    font-size: 1.3em;
    font-weight: 650;
    line-height: 1.3;
  }
  :host([layout="page"]) .greeting .hello {
    font-size: 1.7em;
    letter-spacing: -0.01em;
  }
  .turn {
    display: flex;
    flex-direction: column;
    gap: 16px;
    animation: appear 200ms var(--ease);
  }
  .question {
    align-self: flex-end;
    max-inline-size: 85%;
    padding: 9px 14px;
    border: 1px solid transparent;
    border-radius: 16px 16px 4px 16px;
    border-end-end-radius: 4px;
    border-end-start-radius: 16px;
    background: var(--accent-soft);
    color: var(--on-accent-soft);
  }
  .question p {
    margin: 0;
    white-space: pre-wrap;
    overflow-wrap: anywhere;
  }
  .tools {
    display: flex;
    flex-wrap: wrap;
    align-items: center;
    gap: 2px;
  }
  .tools.of-question {
    justify-content: flex-end;
    margin-block-start: -12px;
  }
  .versions {
    display: inline-flex;
    align-items: center;
    color: var(--muted);
    font-size: 0.8125em;
    font-variant-numeric: tabular-nums;
  }
  .tool {
    display: grid;
    place-items: center;
    inline-size: 32px;
    block-size: 32px;
    padding: 0;
    border: 0;
    border-radius: 8px;
    background: none;
    color: var(--muted);
  }
  .tool svg {
    inline-size: 17px;
    block-size: 17px;
  }
  .tool:hover:not(:disabled) {
    background: var(--sunken);
    color: var(--text);
  }
  .tool[aria-pressed="true"] {
    background: var(--accent-soft);
    color: var(--on-accent-soft);
  }
  .tool:disabled {
    opacity: 0.45;
  }
  .versions svg:dir(rtl) {
    transform: scaleX(-1);
  }
  .tools select {
    min-block-size: 32px;
    max-inline-size: 100%;
    margin-inline-start: 6px;
    padding: 2px 6px;
    border: 1px solid var(--line-strong);
    border-radius: 8px;
    background: var(--surface);
    color: var(--text);
    font: inherit;
    font-size: 0.875em;
  }
  .edit {
    display: flex;
    flex-direction: column;
    gap: 8px;
  }
  .edit .tools {
    gap: 8px;
    margin: 0;
  }
  .edit textarea {
    inline-size: 100%;
    padding: 9px 14px;
    border: 1px solid var(--line-strong);
    border-radius: 12px;
    background: var(--surface);
    color: var(--text);
    font: inherit;
    font-size: max(1em, 16px);
    resize: vertical;
  }
  .answer {
    display: flex;
    flex-direction: column;
    gap: 12px;
    min-inline-size: 0;
  }
  .answer > * {
    min-inline-size: 0;
    max-inline-size: 100%;
  }
  .waiting {
    display: flex;
    align-items: center;
    gap: 10px;
    margin: 0;
    color: var(--muted);
  }
  .dots {
    display: inline-flex;
    gap: 4px;
  }
  .dots i {
    inline-size: 6px;
    block-size: 6px;
    border-radius: 50%;
    background: var(--accent);
    animation: breathe 1.2s ease-in-out infinite;
  }
  .dots i:nth-child(2) {
    animation-delay: 160ms;
  }
  .dots i:nth-child(3) {
    animation-delay: 320ms;
  }
  .badge {
    display: flex;
    align-items: flex-start;
    gap: 6px;
    align-self: flex-start;
    margin: 0;
    padding: 3px 10px;
    border: 1px solid transparent;
    border-radius: 8px;
    background: var(--accent-soft);
    color: var(--on-accent-soft);
    font-size: 0.8125em;
    font-weight: 550;
    line-height: 1.5;
  }
  .badge svg {
    inline-size: 1.15em;
    block-size: 1.15em;
    margin-block-start: 0.18em;
  }
  .badge.plain {
    background: var(--sunken);
    color: var(--muted);
  }
  .badge.warn {
    background: var(--warn-soft);
    color: var(--warn);
  }
  .unsupported p,
  .unsupported ul {
    margin: 0;
  }
  .unsupported ul {
    padding-inline-start: 1.2em;
    font-weight: 400;
  }
  .sources h4 {
    margin: 4px 0 6px;
    color: var(--muted);
    font-size: 0.8125em;
    font-weight: 600;
  }
  .sources ul {
    display: flex;
    flex-wrap: wrap;
    gap: 6px;
    margin: 0;
    padding: 0;
    list-style: none;
  }
  .sources li {
    display: flex;
    min-inline-size: 0;
    max-inline-size: 100%;
  }
  .source {
    display: flex;
    align-items: center;
    gap: 8px;
    min-inline-size: 0;
    min-block-size: 36px;
    padding: 5px 12px 5px 6px;
    padding-inline: 6px 12px;
    border: 1px solid var(--line);
    border-radius: 10px;
    background: var(--surface);
    font-size: 0.875em;
    text-align: start;
    transition:
      background-color var(--quick) var(--ease),
      border-color var(--quick) var(--ease);
  }
  .source:hover {
    border-color: var(--line-strong);
    background: var(--sunken);
  }
  .source .number {
    display: grid;
    flex: none;
    place-items: center;
    min-inline-size: 22px;
    block-size: 22px;
    padding-inline: 4px;
    border-radius: 6px;
    background: var(--accent-soft);
    color: var(--on-accent-soft);
    font-size: 0.875em;
    font-weight: 650;
  }
  .source .title {
    overflow: hidden;
    text-overflow: ellipsis;
    white-space: nowrap;
  }
  .source .page {
    flex: none;
    color: var(--muted);
  }
  .problem {
    display: flex;
    flex-wrap: wrap;
    align-items: center;
    gap: 10px 12px;
    padding: 12px 14px;
    border: 1px solid transparent;
    border-radius: var(--radius);
    background: var(--danger-soft);
    color: var(--danger);
  }
  .problem p {
    flex: 1;
    min-inline-size: 60%;
    margin: 0;
    color: var(--text);
    overflow-wrap: anywhere;
  }
  .problem.alone {
    margin-block: auto;
  }
  .foot {
    position: relative;
    flex: none;
    padding-block: 8px max(14px, env(safe-area-inset-bottom));
    padding-inline: max(14px, env(safe-area-inset-left)) max(14px, env(safe-area-inset-right));
  }
  .latest {
    position: absolute;
    inset-block-end: calc(100% + 4px);
    inset-inline-start: calc(50% - 20px);
    border: 1px solid var(--line);
    border-radius: 50%;
    background: var(--surface);
    box-shadow: var(--shadow-small);
  }
  .scrim {
    position: absolute;
    inset: 0;
    background: rgb(0 0 0 / 35%);
    animation: fade var(--quick) var(--ease);
  }
  rag-quote {
    background: var(--surface);
  }
  rag-quote.sheet {
    position: absolute;
    inset-inline: 0;
    inset-block-end: 0;
    display: flex;
    flex-direction: column;
    max-block-size: 85%;
    border-start-start-radius: 18px;
    border-start-end-radius: 18px;
    box-shadow: var(--shadow);
    animation: rise 200ms var(--ease);
  }
  :host([layout="page"]) rag-quote.sheet {
    max-inline-size: 760px;
    margin-inline: auto;
  }
  rag-quote.side {
    flex: none;
    inline-size: 400px;
    border-inline-start: 1px solid var(--line);
    animation: fade 160ms var(--ease);
  }
  @keyframes appear {
    from {
      opacity: 0;
      transform: translateY(6px);
    }
  }
  @keyframes fade {
    from {
      opacity: 0;
    }
  }
  @keyframes rise {
    from {
      opacity: 0;
      transform: translateY(24px);
    }
  }
  @keyframes breathe {
    50% {
      opacity: 0.25;
    }
  }
`;
