"""HTML that cannot be broken out of: text is escaped where it is put in, and only elements made here are not."""

from collections.abc import Iterable
from html import escape


class Html(str):
    """Markup that is safe to put into a page as it is."""

    __slots__ = ()


_VOID = frozenset({"meta", "rect", "line", "circle"})


def el(tag: str, *children: "Html | str | Iterable[Html] | None", **attributes: str | float | None) -> Html:
    """An element. `class_` is `class`, other underscores are hyphens; attributes that are None are left out."""
    written = "".join(
        f' {name.rstrip("_").replace("_", "-")}="{escape(str(value))}"'
        for name, value in attributes.items()
        if value is not None
    )
    if tag in _VOID:
        return Html(f"<{tag}{written}>" if tag == "meta" else f"<{tag}{written}/>")
    return Html(f"<{tag}{written}>{''.join(_escaped(child) for child in children)}</{tag}>")


def _escaped(child: "Html | str | Iterable[Html] | None") -> str:
    if child is None:
        return ""
    if isinstance(child, Html):
        return child
    if isinstance(child, str):
        return escape(child)
    return "".join(_escaped(one) for one in child)


def join(*parts: Html) -> Html:
    """Several elements in a row."""
    return Html("".join(parts))
