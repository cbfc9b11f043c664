/** The shapes of the public API that the console reads, named as on the wire. */

import type { Rating, Reason, Source } from "../types";

export interface Page<T> {
  items: T[];
  next_cursor: string | null;
}

export interface KnowledgeBase {
  slug: string;
  name: string;
  embedding_model: string;
  documents: number;
  created_at: string;
}

export interface Job {
  id: string;
  document_id: string;
  filename: string;
  state: string;
  progress: { done: number; total: number };
  attempts: number;
  warnings: string[];
  error: { code: string; detail: string } | null;
  history: JobEnd[];
}

/** How an attempt ended that did not succeed. */
export interface JobEnd {
  at: string;
  code: string;
  detail: string;
}

export interface DocumentRow {
  id: string;
  filename: string;
  title: string | null;
  state: "pending" | "ready" | "failed";
  version: number;
  size: number;
  media_type: string | null;
  pages: number | null;
  chunks: number | null;
  created_at: string;
  job: Job | null;
}

export interface UploadAnswer {
  documents: { id: string; filename: string; status: "added" | "updated" | "unchanged" }[];
  jobs: Job[];
}

export interface Chunk {
  id: string;
  ordinal: number;
  text: string;
  headings: string[];
  context: string;
  page: number | null;
  page_end: number | null;
  tokens: number;
}

export interface SearchHit {
  chunk_id: string;
  document_id: string;
  filename: string;
  title: string;
  headings: string[];
  page: number | null;
  text: string;
  score: number;
}

/** How a chunk was found; a side that did not find it has neither rank nor score. */
export interface Trace {
  chunk_id: string;
  dense: number | null;
  dense_rank: number | null;
  lexical: number | null;
  lexical_rank: number | null;
  fused: number;
  reranked: number | null;
  left_out: "folded" | "cut" | null;
  like: string | null;
}

/** A turn as one answer, with how its sources were found. */
export interface TracedAnswer {
  answer: string;
  finish_reason: string;
  model: string;
  sources: Source[];
  trace: {
    hits: Trace[];
    query: string;
    answerable: number | null;
    refusal_score: number;
    timings: Record<string, number>;
  } | null;
}

export interface Unanswered {
  id: string;
  question: string;
  wordings: string[];
  count: number;
  first_at: string;
  last_at: string;
}

export interface RatedAnswer {
  id: string;
  rating: Rating;
  reason: Reason | null;
  comment: string | null;
  question: string;
  answer: string;
  knowledge_base: string;
  updated_at: string;
}

export interface SearchAnswer {
  trace: Trace[] | null;
  hits: SearchHit[];
  timings: Record<string, number>;
}

export interface ApiKey {
  id: string;
  prefix: string;
  name: string;
  role: string;
  knowledge_bases: string[];
  expires_at: string | null;
  last_used_at: string | null;
  revoked_at: string | null;
}

/** A key whose text is shown this once. */
export interface NewApiKey extends ApiKey {
  key: string;
}

export interface AuditEntry {
  id: string;
  at: string;
  actor: string;
  key_prefix: string;
  key_name: string;
  action: string;
  target_id: string;
  knowledge_base: string | null;
  ip: string;
}

export interface Embed {
  id: string;
  name: string;
  knowledge_base: string;
  origins: string[];
  created_at: string;
  snippet: string;
}
