"""Lists that a Word file makes by its styles: the converter sees only those that each paragraph declares itself."""

import re

_STYLE = re.compile(
    r"<w:style\b[^>]*\bw:styleId=\"([^\"]*)\"[^>]*>((?:(?!</?w:style\b).)*)</w:style>", re.DOTALL
)
_BASE = re.compile(r"<w:basedOn w:val=\"([^\"]*)\"")
_NUMBERING = re.compile(r"<w:numPr>(?:(?!</?w:numPr>).)*</w:numPr>", re.DOTALL)
_IS_HEADING = re.compile(r"<w:outlineLvl\b|<w:name w:val=\"(?:heading|title|toc)\b", re.IGNORECASE)
_PROPERTIES = re.compile(r"<w:pPr>(?:(?!</?w:pPr>).)*</w:pPr>", re.DOTALL)
_STYLED = re.compile(r"<w:pStyle w:val=\"([^\"]*)\"\s*/>")


def list_styles(styles: str) -> dict[str, str]:
    """Of each style that makes a paragraph an item of a list, what it says of the list. A numbered heading is none."""
    known = dict(_STYLE.findall(styles))

    def numbering(style: str, seen: frozenset[str] = frozenset()) -> str | None:
        said = known.get(style, "")
        if not said or style in seen or _IS_HEADING.search(said):
            return None
        if own := _NUMBERING.search(said):
            return own[0]
        base = _BASE.search(said)
        return numbering(base[1], seen | {style}) if base else None

    return {style: found for style in known if (found := numbering(style))}


def declared(xml: str, lists: dict[str, str]) -> str:
    """A part of a Word file whose paragraphs declare what their styles say of lists."""

    def with_numbering(properties: re.Match[str]) -> str:
        styled = _STYLED.search(properties[0])
        if styled is None or styled[1] not in lists or "<w:numPr" in properties[0]:
            return properties[0]
        return properties[0].replace(styled[0], styled[0] + lists[styled[1]], 1)

    return _PROPERTIES.sub(with_numbering, xml) if lists else xml
