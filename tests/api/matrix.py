"""Who may use which route. A route that is not here fails a test: add its line.

Method, path, the least role that may use it (`anyone`: no credential is asked for), and, of a route by which an admin
changes something, what the audit log calls that.
"""

from dataclasses import dataclass

ROUTES = """
GET     /                                                          anyone
GET     /admin                                                     anyone
GET     /widget.js                                                 anyone
MOUNT   /assets                                                    anyone
GET     /docs                                                      anyone
GET     /docs/oauth2-redirect                                      anyone
MOUNT   /static-offline-docs                                       anyone
GET     /api/v1/openapi.json                                       anyone
GET     /health/live                                               anyone
GET     /health/ready                                              anyone
POST    /api/v1/embeds/{embed_id}/token                            anyone
POST    /api/v1/chat                                               visitor
GET     /api/v1/chat/{run_id}/events                               visitor
POST    /api/v1/chat/{run_id}/stop                                 visitor
GET     /api/v1/conversations                                      visitor
GET     /api/v1/conversations/{conversation_id}/messages           visitor
DELETE  /api/v1/conversations                                      visitor
GET     /api/v1/conversations/{conversation_id}                    visitor
PATCH   /api/v1/conversations/{conversation_id}                    visitor
DELETE  /api/v1/conversations/{conversation_id}                    visitor
GET     /api/v1/conversations/{conversation_id}/export             visitor
PUT     /api/v1/messages/{message_id}/feedback                     visitor
GET     /v1/models                                                 chat
GET     /v1/models/{model}                                         chat
POST    /v1/chat/completions                                       chat
GET     /api/v1/knowledge-bases                                    chat
GET     /api/v1/knowledge-bases/{slug}                             chat
GET     /api/v1/knowledge-bases/{slug}/documents                   evaluator
GET     /api/v1/documents/{document_id}                            evaluator
GET     /api/v1/documents/{document_id}/chunks                     evaluator
GET     /api/v1/documents/{document_id}/versions                   evaluator
GET     /api/v1/documents/{document_id}/content                    evaluator
POST    /api/v1/search                                             evaluator
GET     /api/v1/feedback                                           evaluator
GET     /api/v1/knowledge-bases/{slug}/unanswered                  evaluator
DELETE  /api/v1/people/{subject:path}                              admin  person.erased
POST    /api/v1/knowledge-bases                                    admin  knowledge_base.created
PATCH   /api/v1/knowledge-bases/{slug}                             admin  knowledge_base.changed
DELETE  /api/v1/knowledge-bases/{slug}                             admin  knowledge_base.deleted
POST    /api/v1/knowledge-bases/{slug}/documents                   admin  document.uploaded
PATCH   /api/v1/documents/{document_id}                            admin  document.changed
DELETE  /api/v1/documents/{document_id}                            admin  document.deleted
POST    /api/v1/documents/{document_id}/versions/{number}/restore  admin  document.restored
POST    /api/v1/documents/{document_id}/reindex                    admin  document.reindexed
GET     /api/v1/jobs                                               admin
GET     /api/v1/jobs/{job_id}                                      admin
POST    /api/v1/jobs/{job_id}/cancel                               admin  job.cancelled
POST    /api/v1/jobs/{job_id}/retry                                admin  job.retried
GET     /api/v1/jobs/{job_id}/events                               admin
POST    /api/v1/knowledge-bases/{slug}/urls                        admin  url.added
GET     /api/v1/knowledge-bases/{slug}/urls                        admin
DELETE  /api/v1/urls/{url_id}                                      admin  url.removed
GET     /api/v1/embeds                                             admin
POST    /api/v1/embeds                                             admin  embed.created
PATCH   /api/v1/embeds/{embed_id}                                  admin  embed.changed
POST    /api/v1/embeds/{embed_id}/identity-secret                  admin  embed.identity_secret_made
DELETE  /api/v1/embeds/{embed_id}                                  admin  embed.revoked
GET     /api/v1/keys                                               admin
POST    /api/v1/keys                                               admin  key.created
PATCH   /api/v1/keys/{key_id}                                      admin  key.changed
POST    /api/v1/keys/{key_id}/rotate                               admin  key.rotated
DELETE  /api/v1/keys/{key_id}                                      admin  key.revoked
GET     /api/v1/audit                                              admin
"""

RANK = {"anyone": -1, "visitor": 0, "chat": 1, "evaluator": 2, "admin": 3}


@dataclass(frozen=True)
class Line:
    method: str
    path: str
    least: str
    action: str | None = None


MATRIX = [Line(*text.split()) for text in ROUTES.strip().splitlines()]

OWNED = ("{conversation_id}", "{run_id}", "{message_id}")
"""Parameters that name what belongs to one caller: to all others it does not exist."""

BASE = "the knowledge base"
BODIES: dict[str, dict[str, object]] = {
    "/api/v1/chat": {"message": "What is the moon made of?", "stream": False, "knowledge_base": BASE},
    "/api/v1/search": {"query": "moon", "knowledge_base": BASE},
    "/v1/chat/completions": {"messages": [{"role": "user", "content": "The moon?"}], "model": BASE},
}
"""Of the routes that name a knowledge base in the body."""
