/** A turn over as many connections as it takes: it belongs to the server, and goes on while a connection is lost. */

import { Problem } from "./problem";
import { readEvents, type ServerEvent } from "./sse";

/** Where to go on: the run, and the number of the last event that was told; null asks the question. */
export type From = { run: string; after: number } | null;

/** A connection that was lost, or a server that has too much to do. */
export type Delay = "lost" | "busy";

export interface Line {
  /** A stream of events. Throws Problem where the server refuses it, or is not there. */
  connect(from: From): Promise<Response>;
  /** Hears what holds the turn up, and, by null, that nothing does any more. */
  delayed(by: Delay | null): void;
  signal: AbortSignal;
}

/** In all about as long as the server keeps a turn that nobody follows (`RAG_RUN_GRACE_SECONDS`). */
const PAUSES = [300, 600, 1200, 2400, 4800, 8000, 8000, 8000];
/** A question that found no server is not sent for so long: nothing of an answer is there to be lost. */
const REPEATS_OF_A_QUESTION = 3;
/** How often a question is asked again that the server had no room for. */
const REPEATS_OF_A_REFUSED_QUESTION = 3;
/** Seconds that a server is left alone for where it wants to be; where it wants more, the person decides. */
const LONGEST_REST = 30;

/**
 * The events of a turn, each once, up to the terminal one. Throws Problem: what the server says against it, or, where
 * no connection brought anything new for all pauses, `unreachable` before the answer began and `cut_off` after it. Of a
 * server that has too much to do, and says until when, that is only thrown once it has been asked again.
 */
export async function* followTurn(line: Line, pauses = PAUSES): AsyncGenerator<ServerEvent> {
  let run: string | null = null;
  let last = 0;
  let failures = 0;
  let refusals = 0;
  for (;;) {
    let failure: Problem | null = null;
    try {
      const response = await line.connect(run === null ? null : { run, after: last });
      line.delayed(null);
      for await (const event of readEvents(response)) {
        if (Number(event.id) <= last) continue; // told before
        last = Number(event.id);
        failures = 0;
        if (event.event === "start") run = (JSON.parse(event.data) as { run_id: string }).run_id;
        yield event;
        if (event.event === "done" || event.event === "error") return;
      }
    } catch (error) {
      if (line.signal.aborted) throw error;
      if (error instanceof Problem) failure = error;
    }
    const rest = restOf(failure);
    if (run === null && failure?.status === 503 && rest > 0 && refusals++ < REPEATS_OF_A_REFUSED_QUESTION) {
      line.delayed("busy");
      await wait(rest * (1 + Math.random() / 2), line.signal);
      continue;
    }
    const pause = run === null && failures === REPEATS_OF_A_QUESTION ? undefined : pauses[failures++];
    if (pause === undefined || (failure !== null && !mayPass(failure, run !== null)))
      throw run === null && failure !== null ? failure : asCut(failure);
    line.delayed("lost");
    await wait(Math.max(pause * (0.75 + Math.random() / 2), rest), line.signal);
  }
}

/** Milliseconds that the server wants to be left alone for; 0 where it says nothing of it, or too much. */
function restOf(failure: Problem | null): number {
  const seconds = failure?.againSeconds ?? null;
  return seconds === null || seconds > LONGEST_REST ? 0 : 1000 * Math.max(1, seconds);
}

/** Whether it is worth another try: without a server always; what a server answers only where a turn is under way. */
function mayPass({ status, retryable }: Problem, begun: boolean): boolean {
  return begun ? retryable : [0, 502, 504].includes(status);
}

/** A turn under way that is not there any more was cut off; that one may not follow it is told as it is. */
function asCut(failure: Problem | null): Problem {
  return failure !== null && [401, 403].includes(failure.status) ? failure : new Problem("cut_off", "", true);
}

/** Waits so long, or until the device is online again. Throws where it is aborted meanwhile. */
async function wait(milliseconds: number, signal: AbortSignal): Promise<void> {
  await new Promise<void>((resolve) => {
    const end = () => {
      clearTimeout(timer);
      globalThis.removeEventListener?.("online", end);
      signal.removeEventListener("abort", end);
      resolve();
    };
    const timer = setTimeout(end, milliseconds);
    globalThis.addEventListener?.("online", end);
    signal.addEventListener("abort", end);
  });
  signal.throwIfAborted();
}
