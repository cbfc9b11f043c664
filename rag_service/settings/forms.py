"""What settings of several matters are made with."""

from urllib.parse import SplitResult, urlsplit

from pydantic import AliasChoices


def bare(name: str) -> AliasChoices:
    """The name that the field already knows, without our prefix."""
    return AliasChoices(name)


def address(url: str, *schemes: str) -> SplitResult | None:
    """The parts of a URL of one of these schemes; None where it is none."""
    try:
        parts = urlsplit(url)
        usable = parts.scheme in schemes and parts.hostname and parts.port != 0  # no number: a ValueError
    except ValueError:
        return None
    return parts if usable and url.isprintable() and " " not in url else None
