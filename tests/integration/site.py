"""A web site for tests: what it answers, and what it was asked."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@dataclass
class Answer:
    body: bytes = b""
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    held: threading.Event | None = None
    """Waited for before anything is sent."""


@dataclass
class Site:
    """Answers by path; a path that is not there is 404. An ETag that is asked for again is answered 304."""

    url: str
    answers: dict[str, Answer] = field(default_factory=dict)
    asked: list[tuple[str, dict[str, str]]] = field(default_factory=list)

    def page(self, path: str, text: str, **headers: str) -> None:
        self.answers[path] = Answer(
            f"<html><title>T</title><body><p>{text}</p></body></html>".encode(),
            headers={
                "Content-Type": "text/html",
                **{name.replace("_", "-"): value for name, value in headers.items()},
            },
        )

    def sitemap(self, path: str, *urls: str) -> None:
        listed = "".join(f"<url><loc>{url}</loc></url>" for url in urls)
        self.answers[path] = Answer(
            f'<urlset xmlns="http://www.sitemaps.org/schemas/sitemap/0.9">{listed}</urlset>'.encode()
        )


@contextmanager
def serving(address: str = "127.0.0.1") -> Iterator[Site]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            site.asked.append((self.path, dict(self.headers)))
            answer = site.answers.get(self.path, Answer(status=404))
            if answer.held is not None:
                answer.held.wait(30)
            etag = answer.headers.get("ETag")
            if etag and self.headers.get("If-None-Match") == etag:
                answer = Answer(status=304)
            self.send_response(answer.status)
            for name, value in answer.headers.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(answer.body)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer((address, 0), Handler)
    site = Site(f"http://{address}:{server.server_address[1]}")
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield site
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
