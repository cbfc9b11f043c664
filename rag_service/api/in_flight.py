"""How many requests one process has in work: one more is told to come again, before anything is done for it."""

from fastapi import Request
from starlette.types import ASGIApp, Receive, Scope, Send

from rag_service.admission.bound import Bound
from rag_service.api.problems import problem_of
from rag_service.errors import Overloaded


class InFlight:
    """Refuses requests above `most`. Those that ask how the process is are always answered. Pure ASGI."""

    def __init__(self, app: ASGIApp, *, most: int) -> None:
        self._app = app
        self._bound = Bound(most, "requests")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"].startswith("/health/"):
            await self._app(scope, receive, send)
            return
        try:
            place = self._bound.enter()
        except Overloaded as error:
            await problem_of(Request(scope), error)(scope, receive, send)
            return
        scope.setdefault("state", {})["place"] = place
        with place:
            await self._app(scope, receive, send)
