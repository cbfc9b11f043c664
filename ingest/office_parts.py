"""The parts of an Office file, and how one refers to others."""

import posixpath
import re
from zipfile import ZipFile

_RELATION = re.compile(r"<Relationship\b[^>]*>")
_ATTRIBUTE = re.compile(r"\b(Id|Type|Target)=\"([^\"]*)\"")


def relations(archive: ZipFile, part: str) -> list[tuple[str, str, str]]:
    """The id, type and target of what a part refers to.

    Raises KeyError where one of them is not told.
    """
    folder, name = posixpath.split(part)
    listed = f"{folder}/_rels/{name}.rels"
    if listed not in archive.namelist():
        return []
    found = [dict(_ATTRIBUTE.findall(one)) for one in _RELATION.findall(archive.read(listed).decode())]
    return [
        (one["Id"], one["Type"], posixpath.normpath(posixpath.join(folder, one["Target"])).lstrip("/"))
        for one in found
    ]
