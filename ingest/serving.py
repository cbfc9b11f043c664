"""The reader's side of extraction: answers requests within its limits, until its parent is gone."""

import ctypes
import json
import math
import os
import resource
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ingest import handoff
from ingest.blocks import Extraction
from ingest.handoff import Files
from ingest.limits import Limits
from rag_service.blobs import room_needed
from rag_service.errors import StorageFull, UnreadableDocument

_NO_ROOM = (
    "The worker's disk for temporary files is full (TMPDIR). Make room: the job is tried again by itself."
)

Extract = Callable[[Path, str, Limits], Extraction]


def serve(extract: Extract, limits_as_json: str, *descriptors: str) -> None:
    """Answer requests from stdin, one JSON line {"path", "name"} each, until there are no more.

    An empty line tells that it was heard. Text and blocks go into the two files that are open already; the answer,
    one JSON line, is what else there is to say of the document, or {"error": {"code", "detail"}}.
    """
    limits = Limits(**json.loads(limits_as_json))
    text, blocks = (os.fdopen(int(descriptor), "wb") for descriptor in descriptors)
    # Libraries may print: what they say must not end up among the answers.
    answers, sys.stdout = sys.stdout, sys.stderr
    _limit_memory(limits)
    for line in sys.stdin:
        answers.write("\n")  # heard: from here on, whatever happens is this file's doing
        answers.flush()
        _limit_time(limits)
        answers.write(json.dumps(_answer(extract, json.loads(line), limits, (text, blocks))) + "\n")
        answers.flush()
    os._exit(0)  # without the farewells that libraries print


def _limit_memory(limits: Limits) -> None:
    most = limits.memory_mb * 1024 * 1024
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG: never outlive the worker
        resource.setrlimit(resource.RLIMIT_DATA, (most, most))
    # No single file that it writes may be larger than the text with its blocks can be.
    written = 4 * limits.text_mb * 1024 * 1024
    resource.setrlimit(resource.RLIMIT_FSIZE, (written, written))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def _limit_time(limits: Limits) -> None:
    """From now on so much computing time; then SIGXCPU ends the process."""
    taken = resource.getrusage(resource.RUSAGE_SELF)
    until = math.ceil(taken.ru_utime + taken.ru_stime + limits.cpu_seconds)
    resource.setrlimit(resource.RLIMIT_CPU, (until, resource.RLIM_INFINITY))


def _answer(extract: Extract, request: dict[str, str], limits: Limits, files: Files) -> dict[str, Any]:
    try:
        with room_needed(_NO_ROOM):
            found = extract(Path(request["path"]), request["name"], limits)
            handoff.write(found.text, found.blocks, files, request["name"], limits.text_mb)
    except (UnreadableDocument, StorageFull) as error:
        return {"error": {"code": error.code, "detail": error.detail}}
    return {
        "media_type": found.media_type,
        "title": found.title,
        "pages": found.pages,
        "warnings": list(found.warnings),
    }
