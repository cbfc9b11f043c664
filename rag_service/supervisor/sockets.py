"""Addresses: the socket that the API answers on, and loopback ports for the local servers."""

import errno
import secrets
import socket

from rag_service.errors import ConfigurationError

_BACKLOG = 2048


def listen(host: str, port: int) -> socket.socket:
    """A listening socket, owned by the supervisor, so that a restart of the API loses no connection.

    Raises:
        ConfigurationError: the port is in use, or the address is not one of this machine.
    """
    family, address = _resolve(host, port)
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
        listener.listen(_BACKLOG)
    except OSError as error:
        listener.close()
        raise ConfigurationError(_why_not(error, host, port)) from error
    return listener


def free_loopback_port(first: int, last: int) -> int:
    """A port of 127.0.0.1 between `first` and `last` that nothing listens on now.

    The range should lie below those from which systems give outgoing connections theirs (Linux: from
    32768): such a port could be taken, before the server binds it, by any client on this machine, even
    by one that tries to reach that very server.

    Raises:
        ConfigurationError: a hundred tries found none.
    """
    for _ in range(100):
        port = first + secrets.randbelow(last - first + 1)
        with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
        return port
    raise ConfigurationError(f"No port of 127.0.0.1 between {first} and {last} is free.")


def _resolve(host: str, port: int) -> tuple[int, tuple[str, int] | tuple[str, int, int, int]]:
    try:
        found = socket.getaddrinfo(host or None, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except socket.gaierror as error:
        raise ConfigurationError(f"RAG_HOST: {host} is not the name or address of this machine.") from error
    # A name such as localhost has both kinds; clients that know one only know IPv4.
    found.sort(key=lambda entry: entry[0] != socket.AF_INET)
    family, _, _, _, address = found[0]
    return family, address  # type: ignore[return-value]  # the third shape is for builds without IPv6


def _why_not(error: OSError, host: str, port: int) -> str:
    if error.errno == errno.EADDRINUSE:
        return f"Port {port} on {host} is in use. Stop the program that uses it, or choose another with RAG_PORT."
    if error.errno == errno.EACCES:
        return f"Port {port} on {host} is kept for the system. Choose one above 1023 with RAG_PORT."
    if error.errno == errno.EADDRNOTAVAIL:
        return f"RAG_HOST: {host} is not an address of this machine."
    return f"RAG_HOST and RAG_PORT: cannot listen on {host}, port {port}: {error.strerror}."
