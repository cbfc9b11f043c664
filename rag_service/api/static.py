"""The pages: the chat at `/`, the console at `/admin`, the widget's script. Built by `make web`, never committed."""

from pathlib import Path

from fastapi import FastAPI, Request, Response
from fastapi.responses import FileResponse
from starlette.exceptions import HTTPException
from starlette.staticfiles import StaticFiles

from rag_service.settings import WEB_BUNDLE

PAGE_HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
        "font-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "Cache-Control": "no-cache",
}
# Pages of other origins load the widget; it is the one file made for them.
WIDGET_HEADERS = {"Cross-Origin-Resource-Policy": "cross-origin", "Cache-Control": "no-cache"}

_NOT_BUILT = (
    "The pages are not built. Run `make web` (it needs Node 20 or newer); the API works without them."
)


class _Assets(StaticFiles):
    """Files of the bundle; a bundle that is not there yet may come while we run."""

    async def check_config(self) -> None:
        if not WEB_BUNDLE.is_dir():
            raise HTTPException(404, _NOT_BUILT)
        await super().check_config()


def install(app: FastAPI) -> None:
    """Serve the bundle's files."""

    @app.get("/", include_in_schema=False)
    async def chat_page(request: Request) -> Response:
        return _file(WEB_BUNDLE / "index.html", PAGE_HEADERS)

    @app.get("/admin", include_in_schema=False)
    async def console_page(request: Request) -> Response:
        return _file(WEB_BUNDLE / "admin.html", PAGE_HEADERS)

    @app.get("/widget.js", include_in_schema=False)
    async def widget_script(request: Request) -> Response:
        return _file(WEB_BUNDLE / "widget.js", WIDGET_HEADERS)

    app.mount("/assets", _Assets(directory=WEB_BUNDLE / "assets", check_dir=False), name="assets")


def _file(path: Path, headers: dict[str, str]) -> Response:
    if not path.is_file():
        raise HTTPException(404, _NOT_BUILT)
    return FileResponse(path, headers=headers)
