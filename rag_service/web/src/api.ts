/** The one place that calls the API: credentials in, JSON or a stream out, failures as `Problem`. */

import { readEvents } from "./sse";
import type { Question, Rating, Reason, StoredMessage, TurnEvent } from "./types";

/** A failure with the server's stable code and its sentence; `unreachable` and `cut_off` are ours. */
export class Problem extends Error {
  constructor(
    readonly code: string,
    readonly detail: string,
    readonly retryable: boolean,
    readonly status = 0,
    readonly requestId: string | null = null,
  ) {
    super(detail || code);
  }
}

/** What proves who calls. */
export interface Credential {
  current(): Promise<string>;
  /** A new token in the place of one that was refused with 401; null if there can be none. */
  renew(): Promise<string | null>;
}

const RETRYABLE = new Set([408, 425, 429, 500, 502, 503, 504]);

/** A response that is not an error. Throws Problem. */
export async function request(url: string, init: RequestInit): Promise<Response> {
  let response: Response;
  try {
    response = await fetch(url, {
      credentials: "omit",
      cache: "no-store",
      referrerPolicy: "no-referrer",
      ...init,
    });
  } catch (error) {
    if (init.signal?.aborted) throw error;
    throw new Problem("unreachable", "", true);
  }
  if (response.ok) return response;
  throw await problemOf(response);
}

/** What a failed response says of itself. */
async function problemOf(response: Response): Promise<Problem> {
  const said: unknown = await response.json().catch(() => null);
  return problemFrom(response.status, said);
}

/** A Problem from a status and the body of an RFC 9457 problem, or whatever a proxy put in its place. */
export function problemFrom(status: number, body: unknown): Problem {
  const said = (body ?? {}) as { code?: unknown; detail?: unknown; request_id?: unknown };
  const text = (value: unknown) => (typeof value === "string" ? value : "");
  return new Problem(
    text(said.code) || `http_${status}`,
    text(said.detail),
    RETRYABLE.has(status),
    status,
    text(said.request_id) || null,
  );
}

export class Api {
  /** `origin` is where the API is: an origin without a slash at its end. */
  constructor(
    readonly origin: string,
    protected readonly credential: Credential,
  ) {}

  /** A response to a request with the credential; after a 401 once more with a renewed one. Throws Problem. */
  async open(method: string, path: string, body?: unknown, signal?: AbortSignal): Promise<Response> {
    const send = (token: string) => {
      const headers: Record<string, string> = { Authorization: `Bearer ${token}` };
      if (body !== undefined) headers["Content-Type"] = "application/json";
      return request(`${this.origin}/api/v1${path}`, {
        method,
        headers,
        body: body === undefined ? null : JSON.stringify(body),
        signal: signal ?? null,
      });
    };
    try {
      return await send(await this.credential.current());
    } catch (error) {
      if (!(error instanceof Problem) || error.status !== 401) throw error;
      const renewed = await this.credential.renew();
      if (renewed === null) throw error;
      return send(renewed);
    }
  }

  async json<T>(method: string, path: string, body?: unknown, signal?: AbortSignal): Promise<T> {
    const response = await this.open(method, path, body, signal);
    return (response.status === 204 ? undefined : await response.json()) as T;
  }
}

/** What a visitor may do. */
export class ChatApi extends Api {
  /** One turn, event by event. Throws Problem before the first, or `cut_off` when the end never comes. */
  async *ask(question: Question, signal: AbortSignal): AsyncGenerator<TurnEvent> {
    const response = await this.open("POST", "/chat", question, signal);
    try {
      for await (const { event, data } of readEvents(response)) {
        yield { event, data: JSON.parse(data) } as TurnEvent;
        if (event === "done" || event === "error") return;
      }
    } catch (error) {
      if (signal.aborted) throw error;
    }
    throw new Problem("cut_off", "", true);
  }

  async stop(runId: string): Promise<void> {
    await this.open("POST", `/chat/${encodeURIComponent(runId)}/stop`);
  }

  /** The newest branch of a conversation, or the newest through one of its messages. */
  async messages(conversationId: string, branch?: string): Promise<StoredMessage[]> {
    const query = new URLSearchParams({ limit: "200", ...(branch === undefined ? {} : { branch }) });
    const path = `/conversations/${encodeURIComponent(conversationId)}/messages?${query}`;
    return (await this.json<{ items: StoredMessage[] }>("GET", path)).items;
  }

  async rate(messageId: string, rating: Rating | null, reason: Reason | null): Promise<void> {
    const body = reason === null ? { rating } : { rating, reason };
    await this.open("PUT", `/messages/${encodeURIComponent(messageId)}/feedback`, body);
  }
}
