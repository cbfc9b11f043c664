/** Where in the console one is; the hash says it, so that every place can be linked to. */

export type Route =
  | { at: "bases" }
  | { at: "documents"; slug: string }
  | { at: "search"; slug: string; query: string }
  | { at: "chunks"; slug: string; documentId: string }
  | { at: "unanswered"; slug: string }
  | { at: "embeds" }
  | { at: "feedback" }
  | { at: "keys" }
  | { at: "audit" }
  | { at: "nowhere" };

export function parse(hash: string): Route {
  const [path = "", query = ""] = hash.replace(/^#\/?/, "").split("?");
  const parts = path
    .split("/")
    .filter((part) => part !== "")
    .map(decode);
  const [first, slug, third, fourth] = parts;
  if (first === undefined) return { at: "bases" };
  if (
    parts.length === 1 &&
    (first === "embeds" || first === "feedback" || first === "keys" || first === "audit")
  )
    return { at: first };
  if (first !== "knowledge-bases") return { at: "nowhere" };
  if (slug === undefined) return { at: "bases" };
  if (third === undefined) return { at: "documents", slug };
  if (third === "search") return { at: "search", slug, query: new URLSearchParams(query).get("q") ?? "" };
  if (third === "unanswered") return { at: "unanswered", slug };
  if (third === "documents" && fourth) return { at: "chunks", slug, documentId: fourth };
  return { at: "nowhere" };
}

export function href(route: Route): string {
  switch (route.at) {
    case "bases":
    case "nowhere":
      return "#/knowledge-bases";
    case "embeds":
    case "feedback":
    case "keys":
    case "audit":
      return `#/${route.at}`;
    case "documents":
      return `#/knowledge-bases/${encodeURIComponent(route.slug)}`;
    case "unanswered":
      return `#/knowledge-bases/${encodeURIComponent(route.slug)}/unanswered`;
    case "search": {
      const query = route.query ? `?${new URLSearchParams({ q: route.query })}` : "";
      return `#/knowledge-bases/${encodeURIComponent(route.slug)}/search${query}`;
    }
    case "chunks":
      return `#/knowledge-bases/${encodeURIComponent(route.slug)}/documents/${encodeURIComponent(route.documentId)}`;
  }
}

function decode(part: string): string {
  try {
    return decodeURIComponent(part);
  } catch {
    return part;
  }
}
