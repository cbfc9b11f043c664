/** A call that failed, as whatever shows it needs to know it. */

/** A failure with the server's stable code and its sentence; `unreachable` and `cut_off` are ours. */
export class Problem extends Error {
  constructor(
    readonly code: string,
    readonly detail: string,
    readonly retryable: boolean,
    readonly status = 0,
    readonly requestId: string | null = null,
    /** In how many seconds it is worth trying again; null where nothing was said of it. */
    readonly againSeconds: number | null = null,
  ) {
    super(detail || code);
  }
}

const RETRYABLE = new Set([408, 425, 429, 500, 502, 503, 504]);

/** A Problem from a status and the body of an RFC 9457 problem, or whatever a proxy put in its place. */
export function problemFrom(status: number, body: unknown, retryAfter: string | null = null): Problem {
  const said = (body ?? {}) as { code?: unknown; detail?: unknown; request_id?: unknown };
  const text = (value: unknown) => (typeof value === "string" ? value : "");
  return new Problem(
    text(said.code) || `http_${status}`,
    text(said.detail),
    RETRYABLE.has(status) || said.code === "answer_under_way",
    status,
    text(said.request_id) || null,
    secondsOf(retryAfter),
  );
}

/** A Retry-After in seconds. Ours is a number; what a proxy says as a date is left to the person who asks. */
function secondsOf(retryAfter: string | null): number | null {
  return retryAfter !== null && /^\d{1,6}$/.test(retryAfter) ? Number(retryAfter) : null;
}
