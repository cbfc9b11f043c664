/** Reads server-sent events from a fetch, wherever its bytes are cut. EventSource can neither POST nor carry a key. */

export interface ServerEvent {
  event: string;
  data: string;
  id: string;
}

/** Nothing was heard for too long, though the server pings: the connection is as good as lost. */
export class SilenceError extends Error {}

/** Collects text into events, as the HTML standard has it. */
export class EventParser {
  #rest = "";
  #afterReturn = false;
  #event = "";
  #data: string[] = [];
  #id = "";

  /** The events that `text` completes. */
  *feed(text: string): Generator<ServerEvent> {
    // A line may end in \r\n; when the two come apart, the \n ends nothing.
    const chunk = this.#afterReturn && text.startsWith("\n") ? text.slice(1) : text;
    if (text !== "") this.#afterReturn = text.endsWith("\r");
    const lines = (this.#rest + chunk).split(/\r\n|\r|\n/);
    this.#rest = lines.pop() ?? "";
    for (const line of lines) {
      const found = this.#line(line);
      if (found) yield found;
    }
  }

  #line(line: string): ServerEvent | undefined {
    if (line === "") return this.#dispatch();
    const colon = line.indexOf(":");
    const field = colon < 0 ? line : line.slice(0, colon);
    const value = colon < 0 ? "" : line.slice(colon + 1).replace(/^ /, "");
    if (field === "event") this.#event = value;
    else if (field === "data") this.#data.push(value);
    else if (field === "id" && !value.includes("\0")) this.#id = value;
    return undefined;
  }

  #dispatch(): ServerEvent | undefined {
    const [event, data] = [this.#event || "message", this.#data];
    this.#event = "";
    this.#data = [];
    return data.length > 0 ? { event, data: data.join("\n"), id: this.#id } : undefined;
  }
}

/**
 * The events of a response, as they come; returns when the stream ends, and leaves the connection when left.
 * Throws SilenceError after `silence` milliseconds without a byte: the server pings every 15 seconds.
 */
export async function* readEvents(response: Response, silence = 30_000): AsyncGenerator<ServerEvent> {
  if (!response.body) return;
  const reader = response.body.getReader();
  const decoder = new TextDecoder(); // removes a byte order mark, joins characters cut in two
  const parser = new EventParser();
  try {
    for (;;) {
      const { done, value } = await inTime(reader.read(), silence);
      if (done) return;
      yield* parser.feed(decoder.decode(value, { stream: true }));
    }
  } finally {
    void reader.cancel().catch(() => undefined);
  }
}

async function inTime<T>(promise: Promise<T>, milliseconds: number): Promise<T> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const silence = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new SilenceError("silence")), milliseconds);
  });
  try {
    return await Promise.race([promise, silence]);
  } finally {
    clearTimeout(timer);
  }
}
