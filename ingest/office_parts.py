"""The parts of an Office file, and how one refers to others."""

import posixpath
import re
from zipfile import ZipFile

_RELATION = re.compile(r"<Relationship\b[^>]*>")
_ATTRIBUTE = re.compile(r"\b(Id|Type|Target)\s*=\s*(?:\"([^\"]*)\"|'([^']*)')")


def relations(archive: ZipFile, part: str) -> list[tuple[str, str, str]]:
    """The id, type and target of what a part refers to.

    Raises KeyError where one of them is not told.
    """
    folder, name = posixpath.split(part)
    listed = f"{folder}/_rels/{name}.rels"
    if listed not in archive.namelist():
        return []
    told = _RELATION.findall(archive.read(listed).decode())
    found = [{name: one or other for name, one, other in _ATTRIBUTE.findall(each)} for each in told]
    return [
        (one["Id"], one["Type"], posixpath.normpath(posixpath.join(folder, one["Target"])).lstrip("/"))
        for one in found
    ]
