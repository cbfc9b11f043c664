/** The one place that calls the API: credentials in, JSON or a stream out, failures as `Problem`. */

import { type Delay, type From, followTurn } from "./follow";
import { Problem, problemFrom } from "./problem";
import type { Rating, Reason, Sent, StoredMessage, TurnEvent } from "./types";

/** What proves who calls. */
export interface Credential {
  current(): Promise<string>;
  /** A new token in the place of one that was refused with 401; null if there can be none. */
  renew(): Promise<string | null>;
}

const RESUME_MILLISECONDS = 10_000;

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
  return problemFrom(response.status, said, response.headers.get("Retry-After"));
}

export class Api {
  /** `origin` is where the API is: an origin without a slash at its end. */
  constructor(
    readonly origin: string,
    protected readonly credential: Credential,
  ) {}

  /** A response to a request with the credential; after a 401 once more with a renewed one. Throws Problem. */
  async open(
    method: string,
    path: string,
    body?: unknown,
    signal?: AbortSignal,
    more: Readonly<Record<string, string>> = {},
  ): Promise<Response> {
    const send = (token: string) => {
      const headers: Record<string, string> = { ...more, Authorization: `Bearer ${token}` };
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
  /**
   * One turn, event by event, taken up again where a connection is lost, and asked again where the server has too much
   * to do; `delayed` hears of both. Sent again under its key, a question is not asked twice. Throws Problem, see
   * `followTurn`.
   */
  async *ask(
    { question, key }: Sent,
    signal: AbortSignal,
    delayed: (by: Delay | null) => void = () => undefined,
  ): AsyncGenerator<TurnEvent> {
    const connect = (from: From) =>
      from === null
        ? this.open("POST", "/chat", question, signal, { "Idempotency-Key": key })
        : this.#resume(from.run, from.after, signal);
    for await (const { event, data } of followTurn({ connect, delayed, signal })) {
      yield { event, data: JSON.parse(data) } as TurnEvent;
    }
  }

  /** The events of a turn behind one of them. A network that swallows what is sent is not waited for. */
  async #resume(run: string, after: number, signal: AbortSignal): Promise<Response> {
    const attempt = new AbortController();
    const end = () => attempt.abort();
    const timer = setTimeout(end, RESUME_MILLISECONDS);
    signal.addEventListener("abort", end);
    const path = `/chat/${encodeURIComponent(run)}/events`;
    try {
      return await this.open("GET", path, undefined, attempt.signal, { "Last-Event-ID": String(after) });
    } finally {
      clearTimeout(timer);
    }
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
