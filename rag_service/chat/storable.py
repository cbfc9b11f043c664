"""Text as it can be stored, where there is nobody to be told that theirs cannot."""

import re

_UNSTORABLE = re.compile("[\x00\ud800-\udfff]")


def storable(text: str) -> str:
    """The text without NULs and halves of surrogate pairs: neither PostgreSQL nor UTF-8 can hold them."""
    return _UNSTORABLE.sub("", text)
