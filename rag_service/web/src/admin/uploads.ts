/** Files on their way into a knowledge base: a few are sent at once, and each is watched until it can be asked. */

import { Problem } from "../problem";
import { type AdminApi, explain } from "./client";
import { isGivenUp } from "./jobs";
import type { Job } from "./types";

export type Stage = "waiting" | "sending" | "reading" | "ready" | "unchanged" | "failed";

export interface Upload {
  readonly key: number;
  readonly slug: string;
  readonly name: string;
  readonly size: number;
  readonly file: File | null;
  stage: Stage;
  /** What share of it was sent, then what share of it was read; null: cannot be told. */
  share: number | null;
  /** What became of it, in the server's words. */
  said: string;
  /** The job that reads it, once there is one. */
  job: string | null;
}

/** Browsers open six connections to a server; a stream holds one for as long as it lasts. */
const SENDING = 2;
const WATCHING = 2;
const PATIENCE = [500, 1000, 2000, 4000, 8000];

export class Uploads extends EventTarget {
  #all: Upload[] = [];
  #keys = 0;
  readonly #send = new Lanes(SENDING);
  readonly #watch = new Lanes(WATCHING);

  constructor(private readonly api: AdminApi) {
    super();
  }

  of(slug: string): readonly Upload[] {
    return this.#all.filter((upload) => upload.slug === slug);
  }

  /** Whether leaving the page would lose a file. */
  get unsent(): boolean {
    return this.#all.some(({ stage }) => stage === "waiting" || stage === "sending");
  }

  add(slug: string, files: readonly File[]): void {
    for (const file of files) {
      const upload = this.#entry(slug, file.name, file.size, file);
      void this.#send.run(() => this.#sendOne(upload, file));
    }
  }

  /** What was dropped and is no file. */
  refuse(slug: string, name: string, why: string): void {
    this.#change(this.#entry(slug, name, 0, null), { stage: "failed", said: why });
  }

  /** Send a file again that did not arrive or could not be read. */
  again(upload: Upload): void {
    if (!upload.file) return;
    this.#all = this.#all.filter((other) => other !== upload);
    this.add(upload.slug, [upload.file]);
  }

  /** Have the server stop reading a file; that it did is told by the job's own end. */
  async cancel(upload: Upload): Promise<void> {
    if (!upload.job) return;
    try {
      await this.api.orderJob(upload.job, "cancel");
    } catch (error) {
      this.#change(upload, { said: explain(error) });
    }
  }

  clearFinished(slug: string): void {
    this.#all = this.#all.filter((upload) => upload.slug !== slug || !isFinished(upload));
    this.#tell();
  }

  #entry(slug: string, name: string, size: number, file: File | null): Upload {
    const upload: Upload = {
      key: ++this.#keys,
      slug,
      name,
      size,
      file,
      stage: "waiting",
      share: null,
      said: "",
      job: null,
    };
    this.#all = [...this.#all, upload];
    this.#tell();
    return upload;
  }

  async #sendOne(upload: Upload, file: File): Promise<void> {
    this.#change(upload, { stage: "sending", share: 0 });
    try {
      const { jobs, documents } = await this.api.upload(upload.slug, file, (share) =>
        this.#change(upload, { share }),
      );
      const job = jobs[0];
      if (job) {
        this.#change(upload, { stage: "reading", share: null, job: job.id });
        void this.#watch.run(() => this.#watchOne(upload, job));
      } else if (documents[0]?.status === "unchanged") {
        this.#change(upload, { stage: "unchanged", said: "The very same file is already there." });
      }
    } catch (error) {
      this.#change(upload, { stage: "failed", said: explain(error) });
    }
  }

  async #watchOne(upload: Upload, first: Job): Promise<void> {
    for (const pause of [0, ...PATIENCE]) {
      await new Promise((resolve) => setTimeout(resolve, pause));
      try {
        for await (const job of this.api.followJob(first.id)) this.#take(upload, job);
        return;
      } catch (error) {
        const worthIt = error instanceof Problem && error.retryable;
        if (!worthIt) return this.#change(upload, { stage: "failed", said: explain(error) });
      }
    }
    this.#change(upload, {
      stage: "failed",
      said: "It was sent, but the connection was lost; the table shows what becomes of it.",
    });
  }

  #take(upload: Upload, job: Job): void {
    if (job.state === "succeeded") {
      this.#change(upload, { stage: "ready", share: 1, said: job.warnings.join(" ") });
    } else if (isGivenUp(job)) {
      this.#change(upload, { stage: "failed", said: job.error?.detail ?? `The job ended as ${job.state}.` });
    } else {
      const { done, total } = job.progress;
      this.#change(upload, { stage: "reading", share: total > 0 ? done / total : null });
    }
  }

  #change(upload: Upload, change: Partial<Pick<Upload, "stage" | "share" | "said" | "job">>): void {
    const before = upload.stage;
    Object.assign(upload, change);
    this.#tell();
    if (upload.stage !== before && isFinished(upload)) this.dispatchEvent(new Event("finished"));
  }

  #tell(): void {
    this.dispatchEvent(new Event("changed"));
  }
}

export function isFinished({ stage }: Upload): boolean {
  return stage === "ready" || stage === "unchanged" || stage === "failed";
}

/** Runs so many tasks at once and no more; the others wait in line. */
class Lanes {
  #running = 0;
  readonly #line: (() => void)[] = [];

  constructor(private readonly width: number) {}

  async run(task: () => Promise<void>): Promise<void> {
    while (this.#running >= this.width) await new Promise<void>((resolve) => this.#line.push(resolve));
    this.#running += 1;
    try {
      await task();
    } finally {
      this.#running -= 1;
      this.#line.shift()?.();
    }
  }
}
