"""Hostile file names: what the server keeps a file under is its own, and what it shows is harmless."""

import re
import unicodedata

import pytest

from tests.api.conftest import NewBase
from tests.conftest import Server

PATH = "/api/v1/knowledge-bases/{}/documents"


HOSTILE = {
    "../../../../tmp/x.txt": "x.txt",
    "/etc/passwd": "passwd",
    "C:\\Windows\\system.ini": "system.ini",
    "..": "..",
    ".": ".",
    "con\u202etxt.exe": "contxt.exe",
    "a\u200b\u2066b.txt": "ab.txt",
    "  spaces   within .txt ": "spaces within .txt",
    "Größe ১২৩ 日本.txt": "Größe ১২৩ 日本.txt",
    "x" * 300 + ".txt": "x" * 251 + ".txt",
    "日" * 300 + ".txt": "日" * 251 + ".txt",
    "'; DROP TABLE documents; --.txt": "'; DROP TABLE documents; --.txt",
    "<img src=x onerror=alert(1)>.txt": "<img src=x onerror=alert(1)>.txt",
    "{x.__class__}%s.txt": "{x.__class__}%s.txt",
}


async def test_hostile_names_are_shown_harmlessly_and_name_nothing_on_disk(
    quoting: Server, new_base: NewBase
) -> None:
    slug = await new_base(quoting)
    files = [(name, f"Comet number {number}.") for number, name in enumerate(HOSTILE)]
    uploaded = await quoting.upload(*files, slug=slug)
    assert [item["filename"] for item in uploaded["documents"]] == list(HOSTILE.values())
    listed = (await quoting.http.get(PATH.format(slug))).json()["items"]
    assert [item["filename"] for item in listed] == list(HOSTILE.values())
    assert {item["state"] for item in listed} == {"ready"}
    root = quoting.services.settings.blob_dir
    stored = [path.relative_to(root).as_posix() for path in root.rglob("*") if path.is_file()]
    assert len(stored) >= len(HOSTILE)
    assert all(re.fullmatch(r"[0-9a-f]{2}/[0-9a-f]{32}", name) for name in stored)


@pytest.mark.parametrize(
    "disposition",
    [
        b"filename*=UTF-8''nul%00byte.txt",
        b"filename*=UTF-8''..%2F..%2Fx.txt",
        b"filename*=UTF-8''%ED%A0%80.txt",
        b"filename*=UTF-8''%ff%fe.txt",
        b"filename*=nonsense''x.txt",
        b"filename=\"a.txt\"; filename*=UTF-8''%E2%80%AEb.txt",
        b'filename=""',
        b'filename="   "',
        b'filename="\x00"',
        b'filename="a\x00b.txt"',
        b'filename="\xff\xfe.txt"',
        b'filename="a%00b.txt"',
    ],
    ids=repr,
)
async def test_a_name_in_any_encoding_is_taken_as_text_or_refused(
    quoting: Server, new_base: NewBase, disposition: bytes
) -> None:
    slug = await new_base(quoting)
    body = (
        b'--x\r\nContent-Disposition: form-data; name="files"; '
        + disposition
        + b"\r\nContent-Type: text/plain\r\n\r\nComets are ice.\r\n--x--\r\n"
    )
    headers = {"Content-Type": "multipart/form-data; boundary=x"}
    answer = await quoting.http.post(PATH.format(slug), content=body, headers=headers)
    assert answer.status_code in (202, 400, 422), answer.text
    if answer.status_code == 202:
        while await quoting.worker.run_one():
            pass
        (document,) = (await quoting.http.get(PATH.format(slug))).json()["items"]
        name = document["filename"]
        assert document["state"] == "ready"
        assert name and len(name) <= 255 and "/" not in name
        assert not {unicodedata.category(char) for char in name} & {"Cc", "Cf", "Cs"}
