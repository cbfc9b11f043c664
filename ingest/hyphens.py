"""Words that were broken at the end of a line, put together again: in pieces nobody finds them."""

import regex

_BROKEN = regex.compile(r"(?<![\p{L}\p{M}])([\p{L}\p{M}]+)[-\u2010]\n(?:[^\S\n]*\n)?[^\S\n]*([\p{Ll}\p{M}]+)")
"""A gap between the lines may be there: nothing ends in a hyphen, or begins with a small letter."""
_COMPOUND = regex.compile(r"[\p{L}\p{M}]+[-\u2010][\p{L}\p{M}]+")


def rejoined(text: str) -> str:
    """The text with its broken words whole. One that is written with a hyphen elsewhere in it keeps the hyphen."""
    if "-\n" not in text and "\u2010\n" not in text:
        return text
    compounds = {word.lower().replace("\u2010", "-") for word in _COMPOUND.findall(text)}

    def whole(broken: regex.Match[str]) -> str:
        first, rest = broken[1], broken[2]
        return f"{first}-{rest}" if f"{first}-{rest}".lower() in compounds else first + rest

    return _BROKEN.sub(whole, text)
