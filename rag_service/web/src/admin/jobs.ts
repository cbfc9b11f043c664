/** What an administrator may order of a job, by how far it has come. */

import type { Job, JobEnd } from "./types";

export type Order = "cancel" | "retry";

const GIVEN_UP: readonly string[] = ["failed", "cancelled", "quarantined"];

/** Whether the job has ended without a text. */
export function isGivenUp(job: Job): boolean {
  return GIVEN_UP.includes(job.state);
}

/** The one order that makes sense now; null where none does. */
export function orderFor(job: Job | null): Order | null {
  if (!job || job.state === "succeeded") return null;
  return isGivenUp(job) ? "retry" : "cancel";
}

/** How the attempts before ended, the newest first; without the end that is shown as the job's own error anyway. */
export function earlierEnds(job: Job | null): JobEnd[] {
  if (!job || job.state === "succeeded") return [];
  return (isGivenUp(job) ? job.history.slice(0, -1) : job.history).toReversed();
}
