"""How the API is reached, and how it behaves towards those who read."""

from ipaddress import IPv4Network, IPv6Network
from typing import Annotated, Literal

from pydantic import BaseModel, Field

LOOPBACK = ("localhost", "127.0.0.1", "::1")
_WILDCARDS = {"0.0.0.0": "127.0.0.1", "::": "::1", "": "127.0.0.1"}  # noqa: S104 - translated, not bound


class Serving(BaseModel):
    """Addresses, hosts and proxies; streams and the end of a process; the log."""

    host: str = "127.0.0.1"
    port: Annotated[int, Field(ge=1, le=65535)] = 8000
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    allowed_hosts: list[str] = Field(
        default_factory=list,
        description="names the server is reached by, besides loopback's own; unset means: any, or those alone",
    )
    trusted_proxies: list[IPv4Network | IPv6Network] = Field(
        default_factory=list,
        description="networks of proxies whose X-Forwarded-For and X-Forwarded-Proto are believed",
    )
    home_chat: bool | None = Field(
        default=None,
        description="the chat page at `/`; unset means: on where the server listens on loopback only",
    )
    run_grace_seconds: Annotated[float, Field(ge=0)] = Field(
        default=30.0,
        description="how long an answer goes on that nobody reads, so that it can be taken up again",
    )
    stream_send_seconds: Annotated[float, Field(gt=0)] = Field(
        default=30.0, description="how long a reader may take no more of a stream until the connection is cut"
    )
    drain_seconds: Annotated[float, Field(ge=1, le=600)] = Field(
        default=20.0, description="how long an api that is asked to end may take for the answers under way"
    )

    @property
    def is_local(self) -> bool:
        """Whether only this machine can reach the API."""
        return self.host in LOOPBACK

    @property
    def local_url(self) -> str:
        """Where a client on this machine reaches the API."""
        host = _WILDCARDS.get(self.host, self.host)
        return f"http://[{host}]:{self.port}" if ":" in host else f"http://{host}:{self.port}"

    @property
    def hosts(self) -> list[str]:
        """The values of the Host header that are answered; `*` means any."""
        own = [*LOOPBACK, "[::1]"]  # no page of another site is ever loaded under these names
        return [*self.allowed_hosts, *own] if self.allowed_hosts or self.is_local else ["*"]

    @property
    def offers_home_chat(self) -> bool:
        return self.is_local if self.home_chat is None else self.home_chat
