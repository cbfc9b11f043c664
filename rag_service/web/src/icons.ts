/** Icons, drawn with the colour of the text around them. */

import { html, svg, type TemplateResult } from "lit";

function icon(shape: TemplateResult<2>): TemplateResult {
  return html`<svg viewBox="0 0 24 24" aria-hidden="true" focusable="false">${shape}</svg>`;
}

export const chatIcon = icon(
  svg`<path d="M5 5h14a2 2 0 0 1 2 2v8a2 2 0 0 1-2 2h-6l-5 4v-4H5a2 2 0 0 1-2-2V7a2 2 0 0 1 2-2z"/><path d="M8 10h8M8 13.5h5"/>`,
);
export const closeIcon = icon(svg`<path d="M6 6l12 12M18 6L6 18"/>`);
export const newIcon = icon(
  svg`<path d="M12 4H6a2 2 0 0 0-2 2v12a2 2 0 0 0 2 2h12a2 2 0 0 0 2-2v-6"/><path d="M18.5 3.5a1.8 1.8 0 0 1 2.5 2.5L13 14l-3.5 1 1-3.5z"/>`,
);
export const penIcon = icon(svg`<path d="M4 20l1-4.5L16.5 4a2.1 2.1 0 0 1 3 3L8 18.5z"/>`);
export const againIcon = icon(svg`<path d="M19.5 12a7.5 7.5 0 1 1-2.2-5.3L20 9.3M20 4v5.3h-5.3"/>`);
export const likeIcon = icon(
  svg`<path d="M4 11h3.5v9H4zM7.5 11L11 4a2 2 0 0 1 2 2v4h5.5a1.5 1.5 0 0 1 1.5 1.8l-1.3 6.7a1.9 1.9 0 0 1-1.8 1.5H7.5"/>`,
);
export const dislikeIcon = icon(
  svg`<path d="M4 13h3.5V4H4zM7.5 13l3.5 7a2 2 0 0 0 2-2v-4h5.5a1.5 1.5 0 0 0 1.5-1.8l-1.3-6.7A1.9 1.9 0 0 0 16.9 4H7.5"/>`,
);
export const previousIcon = icon(svg`<path d="M14.5 6L8.5 12l6 6"/>`);
export const nextIcon = icon(svg`<path d="M9.5 6l6 6-6 6"/>`);
export const sendIcon = icon(svg`<path d="M12 20V5M5.5 11.5L12 5l6.5 6.5"/>`);
export const stopIcon = icon(svg`<rect x="7" y="7" width="10" height="10" rx="1.5" fill="currentColor"/>`);
export const downIcon = icon(svg`<path d="M12 5v14M5.5 12.5L12 19l6.5-6.5"/>`);
export const warningIcon = icon(svg`<path d="M12 4L2.8 19.5h18.4z"/><path d="M12 10v4M12 17v.1"/>`);
export const quoteIcon = icon(
  svg`<path d="M10 7H5v6h5V7zM10 13c0 2.5-1 4-3.5 4.5M19 7h-5v6h5V7zM19 13c0 2.5-1 4-3.5 4.5"/>`,
);
export const searchIcon = icon(svg`<circle cx="11" cy="11" r="6.5"/><path d="M16 16l4.5 4.5"/>`);
export const documentIcon = icon(svg`<path d="M6 3h8l4 4v14H6z"/><path d="M14 3v4h4M9 12h6M9 16h6"/>`);
export const uploadIcon = icon(
  svg`<path d="M12 16V5M6.5 10L12 4.5 17.5 10M4 16v3a1.5 1.5 0 0 0 1.5 1.5h13A1.5 1.5 0 0 0 20 19v-3"/>`,
);
export const trashIcon = icon(
  svg`<path d="M4.5 7h15M10 11v6M14 11v6M6.5 7l.8 12a1.5 1.5 0 0 0 1.5 1.5h6.4a1.5 1.5 0 0 0 1.5-1.5l.8-12M9 7V4.5h6V7"/>`,
);
export const checkIcon = icon(svg`<path d="M5 12.5l4.5 4.5L19 7.5"/>`);
export const booksIcon = icon(svg`<path d="M4 4h5v16H4zM9 4h5v16H9zM14.5 5.5l4.5-1.2 3 15.2-4.5 1z"/>`);
export const codeIcon = icon(svg`<path d="M8.5 7L3.5 12l5 5M15.5 7l5 5-5 5"/>`);
export const keyIcon = icon(svg`<circle cx="8" cy="15" r="4.5"/><path d="M11.2 11.8L20 3M16 7l3 3"/>`);
export const copyIcon = icon(
  svg`<rect x="8" y="8" width="12" height="12" rx="2"/><path d="M16 8V6a2 2 0 0 0-2-2H6a2 2 0 0 0-2 2v8a2 2 0 0 0 2 2h2"/>`,
);
export const backIcon = icon(svg`<path d="M19 12H5M11 6l-6 6 6 6"/>`);
export const leaveIcon = icon(
  svg`<path d="M14 4H6a1.5 1.5 0 0 0-1.5 1.5v13A1.5 1.5 0 0 0 6 20h8M10 12h10.5M17 8.5l3.5 3.5-3.5 3.5"/>`,
);
export const plusIcon = icon(svg`<path d="M12 5v14M5 12h14"/>`);
