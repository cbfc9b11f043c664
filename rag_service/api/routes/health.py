"""Is the process alive, and can it serve? The only routes without a credential."""

from fastapi import APIRouter, Request, Response

from rag_service.api.deps import get_services

router = APIRouter(prefix="/health", tags=["health"])


@router.get("/live")
async def live() -> dict[str, str]:
    """200 for as long as the event loop turns."""
    return {"status": "alive"}


@router.get("/ready")
async def ready(request: Request, response: Response) -> dict[str, str]:
    """200 when a question can be answered: model loaded, PostgreSQL and Chroma answering; else 503 and why not.
    A process that was asked to end is not ready.

    While the lexical index is built or cannot be used, questions are answered without it: `lexical` is `degraded`.
    """
    response.headers["Cache-Control"] = "no-store"
    services = get_services(request)
    services.chat.runs.check_open()
    await services.database.ping()
    await services.vectors.ping()
    if services.lexical_follower.degraded:
        return {"status": "ready", "lexical": "degraded", "reason": services.lexical_follower.degraded}
    return {"status": "ready"}
