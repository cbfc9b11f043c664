/** What an administrator may do, call by call. */

import { Api, type Credential } from "../api";
import { Problem, problemFrom } from "../problem";
import { readEvents } from "../sse";
import type { Order } from "./jobs";
import type {
  ApiKey,
  AuditEntry,
  Chunk,
  DocumentRow,
  Embed,
  Job,
  KnowledgeBase,
  NewApiKey,
  Page,
  RatedAnswer,
  SearchAnswer,
  TracedAnswer,
  Unanswered,
  UploadAnswer,
} from "./types";

const encode = encodeURIComponent;

/** A key does not renew itself: when it is refused, somebody has to sign in again. */
export class KeyCredential implements Credential {
  constructor(
    private readonly key: string,
    private readonly refused: () => void,
  ) {}

  async current(): Promise<string> {
    return this.key;
  }

  async renew(): Promise<null> {
    this.refused();
    return null;
  }
}

export class AdminApi extends Api {
  knowledgeBases(): Promise<Page<KnowledgeBase>> {
    return this.json("GET", "/knowledge-bases");
  }

  createKnowledgeBase(slug: string, name: string): Promise<KnowledgeBase> {
    return this.json("POST", "/knowledge-bases", { slug, name });
  }

  documents(slug: string, cursor: string | null): Promise<Page<DocumentRow>> {
    return this.json("GET", `/knowledge-bases/${encode(slug)}/documents?${page(100, cursor)}`);
  }

  document(id: string): Promise<DocumentRow> {
    return this.json("GET", `/documents/${encode(id)}`);
  }

  deleteDocument(id: string): Promise<void> {
    return this.json("DELETE", `/documents/${encode(id)}`);
  }

  chunks(documentId: string, cursor: string | null): Promise<Page<Chunk>> {
    return this.json("GET", `/documents/${encode(documentId)}/chunks?${page(50, cursor)}`);
  }

  search(query: string, knowledgeBase: string, limit: number): Promise<SearchAnswer> {
    return this.json("POST", "/search", { query, knowledge_base: knowledgeBase, limit, trace: true });
  }

  /** Asks as anyone would, in a conversation of its own, and has told how the sources were found. */
  askTraced(message: string, knowledgeBase: string): Promise<TracedAnswer> {
    return this.json("POST", "/chat", { message, knowledge_base: knowledgeBase, stream: false, trace: true });
  }

  unanswered(slug: string, cursor: string | null): Promise<Page<Unanswered>> {
    return this.json("GET", `/knowledge-bases/${encode(slug)}/unanswered?${page(100, cursor)}`);
  }

  feedback(cursor: string | null): Promise<Page<RatedAnswer>> {
    return this.json("GET", `/feedback?${page(100, cursor)}`);
  }

  embeds(): Promise<Page<Embed>> {
    return this.json("GET", "/embeds");
  }

  createEmbed(name: string, knowledgeBase: string, origins: readonly string[]): Promise<Embed> {
    return this.json("POST", "/embeds", { name, knowledge_base: knowledgeBase, origins });
  }

  revokeEmbed(id: string): Promise<void> {
    return this.json("DELETE", `/embeds/${encode(id)}`);
  }

  keys(cursor: string | null): Promise<Page<ApiKey>> {
    return this.json("GET", `/keys?${page(100, cursor)}`);
  }

  createKey(key: {
    name: string;
    role: string;
    knowledge_bases: string[];
    expires_at: string | null;
  }): Promise<NewApiKey> {
    return this.json("POST", "/keys", key);
  }

  rotateKey(id: string): Promise<NewApiKey> {
    return this.json("POST", `/keys/${encode(id)}/rotate`, {});
  }

  revokeKey(id: string): Promise<void> {
    return this.json("DELETE", `/keys/${encode(id)}`);
  }

  audit(cursor: string | null): Promise<Page<AuditEntry>> {
    return this.json("GET", `/audit?${page(100, cursor)}`);
  }

  /** Cancels a job, or queues it anew; the job as it is then. */
  orderJob(id: string, order: Order): Promise<Job> {
    return this.json("POST", `/jobs/${encode(id)}/${order}`);
  }

  /** A job's states as they change, the last one with its end. Throws Problem when the connection is lost. */
  async *followJob(id: string): AsyncGenerator<Job> {
    const response = await this.open("GET", `/jobs/${encode(id)}/events`);
    try {
      for await (const { event, data } of readEvents(response)) {
        const said: unknown = JSON.parse(data);
        if (event === "error") throw problemFrom(503, said);
        yield said as Job;
        if (event === "done") return;
      }
    } catch (error) {
      if (error instanceof Problem) throw error;
    }
    throw new Problem("cut_off", "", true);
  }

  /** Uploads one file; `sent` hears what share of it has left. (fetch cannot tell.) Throws Problem. */
  async upload(slug: string, file: File, sent: (share: number) => void): Promise<UploadAnswer> {
    const key = await this.credential.current();
    return new Promise((resolve, reject) => {
      const request = new XMLHttpRequest();
      request.open("POST", `${this.origin}/api/v1/knowledge-bases/${encode(slug)}/documents`);
      request.setRequestHeader("Authorization", `Bearer ${key}`);
      request.responseType = "json";
      request.upload.onprogress = ({ loaded, total }) => sent(total > 0 ? loaded / total : 0);
      request.onload = () => {
        if (request.status === 202) return resolve(request.response as UploadAnswer);
        if (request.status === 401) void this.credential.renew();
        reject(problemFrom(request.status, request.response));
      };
      // A folder, or a file that was moved meanwhile, fails here too: its bytes cannot be read.
      request.onerror = () => reject(new Problem("unreachable", "", true));
      const form = new FormData();
      form.append("files", file);
      request.send(form);
    });
  }
}

function page(limit: number, cursor: string | null): string {
  return new URLSearchParams({ limit: String(limit), ...(cursor ? { cursor } : {}) }).toString();
}

/** A failure as a sentence for somebody who runs the service. */
export function explain(error: unknown): string {
  if (!(error instanceof Problem)) return "Something went wrong in this page. Reload it and try again.";
  if (error.code === "unreachable") return "The server cannot be reached. Check that it runs, and try again.";
  if (error.code === "cut_off") return "The connection was lost.";
  const said = error.detail || `The server answered with status ${error.status}.`;
  return error.status >= 500 && error.requestId ? `${said} (request ${error.requestId})` : said;
}
