/** Tables; on a narrow screen each row becomes a card. (The roles are spelled out for the sake of that.) */

import { css } from "lit";

export const tableStyles = css`
  .table {
    border: 1px solid var(--line);
    border-radius: var(--radius);
    background: var(--surface);
    overflow: hidden;
  }
  table {
    inline-size: 100%;
    border-collapse: collapse;
  }
  th,
  td {
    padding: 11px 14px;
    text-align: start;
    vertical-align: top;
  }
  th {
    background: var(--sunken);
    color: var(--muted);
    font-size: 0.8125em;
    font-weight: 600;
    white-space: nowrap;
  }
  tbody tr + tr > td {
    border-block-start: 1px solid var(--line);
  }
  td:first-child,
  th:first-child {
    padding-inline-start: 18px;
  }
  .main {
    inline-size: 45%;
    overflow-wrap: anywhere;
  }
  .main a {
    font-weight: 560;
  }
  .said {
    white-space: pre-wrap;
    overflow-wrap: anywhere;
  }
  .small {
    font-size: 0.875em;
  }
  .number {
    text-align: end;
    font-variant-numeric: tabular-nums;
  }
  td.number,
  .when {
    white-space: nowrap;
  }
  .when {
    color: var(--muted);
    font-size: 0.9375em;
  }
  .last {
    padding-block: 4px;
    text-align: end;
    white-space: nowrap;
  }
  @media (max-width: 760px) {
    table,
    tbody {
      display: block;
    }
    thead {
      position: absolute;
      inline-size: 1px;
      block-size: 1px;
      overflow: hidden;
      clip-path: inset(50%);
    }
    tr {
      position: relative;
      display: flex;
      flex-wrap: wrap;
      gap: 6px 16px;
      padding: 14px 16px;
    }
    tbody tr + tr {
      border-block-start: 1px solid var(--line);
    }
    td,
    td:first-child {
      padding: 0;
      border: 0 !important;
      font-size: 0.9375em;
    }
    td[data-label]::before {
      content: attr(data-label) " ";
      color: var(--muted);
      font-size: 0.9em;
    }
    td[data-label="State"]::before,
    td[data-label="Added"]::before {
      content: none;
    }
    .main {
      inline-size: 100%;
      padding-inline-end: 40px;
      font-size: 1em;
    }
    .last {
      position: absolute;
      inset-block-start: 6px;
      inset-inline-end: 8px;
    }
  }
`;
