"""Every error this service raises on purpose.

    RagError
    ├── ConfigurationError     the process cannot start as configured
    ├── InvalidInput      422  what was sent cannot be used; says what to change
    ├── Unauthenticated   401  no credential, or not one we know
    ├── Forbidden         403  known, but its role does not allow this
    ├── NotFound          404  does not exist, or is not the caller's: the two look the same
    ├── Conflict          409  clashes with what is there
    ├── TooLarge          413  more bytes than the limit
    ├── TooMany           429  a caller has used up what it may for now; says when there is more
    ├── UnreadableDocument 415 a file from which no text can be had; names the file and the way out
    └── Unavailable       503  something we depend on does not answer; worth trying again
        ├── Overloaded         more is asked of this process than it takes on
        ├── StorageFull   507  the disk has no room for what was sent: not worth trying until somebody makes room
        ├── DatabaseUnavailable
        │   └── DatabaseFull     507  the same, of the database's disk
        ├── VectorIndexUnavailable
        │   └── VectorIndexFull  507  the same, of Chroma's disk
        ├── LexicalIndexUnavailable  its files are damaged or gone; it is built anew
        ├── EmbedderUnavailable
        ├── EmbeddingModelMismatch  vectors of another model; not worth trying again until that is settled
        └── ModelUnavailable

`code` is stable and meant for programs; `detail` is a sentence meant for people, and never
carries a secret or another library's exception text that could.
"""


class RagError(Exception):
    """Base of all errors raised on purpose. `code` and `status` are part of the public API."""

    code = "internal_error"
    status = 500
    title = "Something went wrong"
    retryable = False
    again_seconds = 2
    """In how many seconds it is worth trying again, where it is at all."""

    def __init__(self, detail: str, *, code: str | None = None) -> None:
        super().__init__(detail)
        self.detail = detail
        if code is not None:
            self.code = code


class ConfigurationError(RagError):
    code = "configuration_error"
    title = "The configuration cannot be used"


class InvalidInput(RagError):
    code = "invalid_input"
    status = 422
    title = "The request cannot be used"


class Unauthenticated(RagError):
    code = "unauthenticated"
    status = 401
    title = "A valid API key is needed"


class Forbidden(RagError):
    code = "forbidden"
    status = 403
    title = "This key's role does not allow that"


class NotFound(RagError):
    code = "not_found"
    status = 404
    title = "Not found"


class Conflict(RagError):
    code = "conflict"
    status = 409
    title = "Conflicts with what is there"


class TooLarge(RagError):
    code = "too_large"
    status = 413
    title = "Too large"


class TooMany(RagError):
    """`limit` is its name, how much it allows, in how many seconds (0: at once), and the seconds until more."""

    code = "rate_limited"
    status = 429
    title = "Too many requests"
    retryable = True

    def __init__(
        self,
        detail: str,
        *,
        code: str | None = None,
        limit: tuple[str, int, int, int] | None = None,
        again_seconds: int = 2,
    ) -> None:
        super().__init__(detail, code=code)
        self.limit = limit
        self.again_seconds = again_seconds


class UnreadableDocument(RagError):
    code = "unreadable_document"
    status = 415
    title = "No text can be read from the file"


class Unavailable(RagError):
    code = "unavailable"
    status = 503
    title = "Not available right now"
    retryable = True


class Overloaded(Unavailable):
    code = "overloaded"
    title = "Too much to do right now"

    def __init__(self, detail: str, *, code: str | None = None, again_seconds: int = 2) -> None:
        super().__init__(detail, code=code)
        self.again_seconds = again_seconds


class StorageFull(Unavailable):
    code = "disk_full"
    status = 507
    title = "No room left"
    retryable = False


class DatabaseUnavailable(Unavailable):
    code = "database_unavailable"
    title = "The database does not answer"


class DatabaseFull(DatabaseUnavailable):
    code = "database_full"
    status = 507
    title = "The database has no room left"
    retryable = False


class VectorIndexUnavailable(Unavailable):
    code = "vector_index_unavailable"
    title = "The vector index does not answer"


class VectorIndexFull(VectorIndexUnavailable):
    code = "vector_index_full"
    status = 507
    title = "The vector index has no room left"
    retryable = False


class LexicalIndexUnavailable(Unavailable):
    code = "lexical_index_unavailable"
    title = "The lexical index cannot be used"


class EmbedderUnavailable(Unavailable):
    code = "embedder_unavailable"
    title = "The embedding model is not ready"


class EmbeddingModelMismatch(Unavailable):
    code = "embedding_model_mismatch"
    title = "The embedding model is not the knowledge base's"
    retryable = False


class ModelUnavailable(Unavailable):
    code = "model_unavailable"
    title = "The language model does not answer"


def kind_of(code: str) -> type[RagError] | None:
    """The kind of error that has this code of its own; None where none has."""
    kinds: list[type[RagError]] = [RagError]
    for kind in kinds:  # grows meanwhile, by the children of each
        if kind.code == code:
            return kind
        kinds += kind.__subclasses__()
    return None
