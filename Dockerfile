# One image for every process: `docker run IMAGE` is the api, `docker run IMAGE worker` the worker, and any other
# command of the product works by its name (`docker run IMAGE rag keys list`).
#
# Build arguments, all optional:
#   TORCH_INDEX           a package index with CPU builds of torch, the one its makers keep or a mirror of it. Empty
#                         means the ordinary index, whose torch for x86-64 brings several GB of CUDA libraries along:
#                         the image works, nothing in it uses them.
#   TIKTOKEN_VOCABULARY   `required` fails the build when tiktoken's vocabulary cannot be fetched. With `optional`
#                         such an image counts tokens by an estimate that errs upward.
#   PYTHON_IMAGE, NODE_IMAGE   other base images, such as the same ones by digest or from a mirror. Python has to be
#                         3.11 or newer on Debian, Node 20 or newer.
ARG PYTHON_IMAGE=python:3.11-slim-bookworm
ARG NODE_IMAGE=node:20-bookworm-slim


# The chat widget and the console: TypeScript in, a folder of static files out.
FROM ${NODE_IMAGE} AS web
WORKDIR /src/rag_service/web
# What is installed changes less often than the sources, and keeps its layer until the lock file does.
COPY rag_service/web/package.json rag_service/web/package-lock.json ./
# Bundling needs no package's install script, so none is run.
RUN --mount=type=cache,target=/root/.npm npm ci --ignore-scripts --no-audit --no-fund
COPY rag_service/web ./
RUN npm run build


# The product's own wheel, with the bundle, the prompts and the sample documents inside.
FROM ${PYTHON_IMAGE} AS wheel
WORKDIR /src
COPY constraints.txt ./
RUN --mount=type=cache,target=/root/.cache/pip pip install --constraint constraints.txt build hatchling
COPY pyproject.toml README.md LICENSE .gitignore ./
COPY prompts prompts
COPY data/sample_kb data/sample_kb
COPY evals evals
COPY ingest ingest
COPY rag_service rag_service
COPY --from=web /src/rag_service/web/dist rag_service/web/dist
# Not isolated: the build backend is the pinned one.
RUN python -m build --wheel --no-isolation --outdir /wheel


# Everything the product needs from others, without the product: by far the largest layer, made again only when
# pyproject.toml or constraints.txt changes.
FROM ${PYTHON_IMAGE} AS packages
ARG TORCH_INDEX=
WORKDIR /src
RUN python -m venv --without-pip /opt/rag
COPY pyproject.toml constraints.txt ./
COPY <<'EOF' install.sh
set -eu
python - > requirements.txt <<'PYTHON'
import tomllib

with open("pyproject.toml", "rb") as file:
    print(*tomllib.load(file)["project"]["dependencies"], sep="\n")
PYTHON
install="pip --python /opt/rag/bin/python install --constraint constraints.txt"
if [ -n "$TORCH_INDEX" ]; then
    # Alone and first: what torch itself needs comes from the ordinary index, in the pinned versions.
    $install --no-deps --index-url "$TORCH_INDEX" torch
fi
$install --requirement requirements.txt
if ls -d /opt/rag/lib/python3.*/site-packages/nvidia >/dev/null 2>&1; then
    echo "Note: this torch brought CUDA libraries, which nothing here uses. TORCH_INDEX avoids them." >&2
fi
EOF

RUN --mount=type=cache,target=/root/.cache/pip sh install.sh


# tiktoken fetches its vocabulary on first use; a container often has no way out, so the image brings it.
FROM packages AS vocabulary
# The linter takes the middle of the name for a secret.
# hadolint ignore=DL3064
ARG TIKTOKEN_VOCABULARY=optional
# hadolint ignore=DL3064
ENV TIKTOKEN_CACHE_DIR=/vocabulary
COPY <<'EOF' fetch.py
import sys

import tiktoken

try:
    for name in ("o200k_base", "cl100k_base"):  # what OpenAI's chat models read
        tiktoken.get_encoding(name)
except OSError as error:  # those of requests too
    sys.exit(f"tiktoken's vocabulary could not be fetched ({type(error).__name__}).")
EOF

RUN mkdir /vocabulary && \
    if ! timeout 120 /opt/rag/bin/python fetch.py; then \
        if [ "$TIKTOKEN_VOCABULARY" = required ]; then exit 1; fi; \
        echo "Note: without it, this image estimates token counts, erring upward." >&2; \
    fi


FROM ${PYTHON_IMAGE}
LABEL org.opencontainers.image.title="rag-service" \
      org.opencontainers.image.description="A chatbot backend that answers from an organisation's own documents, and proves it." \
      org.opencontainers.image.licenses="Apache-2.0"

# The library that reads documents has Tesseract inside and lacks only its language data; Debian's program would add
# 118 MB. No versions here: a stable Debian changes only to mend security holes, and drops the version before.
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install -y --no-install-recommends tesseract-ocr-ben tesseract-ocr-eng tini \
    && rm -rf /var/lib/apt/lists/*

# A fixed number, so that a volume made by one release belongs to the next.
RUN groupadd --gid 10001 rag \
    && useradd --uid 10001 --gid rag --home-dir /var/lib/rag --no-create-home --shell /usr/sbin/nologin rag \
    && install -d -o rag -g rag -m 0700 /var/lib/rag

COPY --from=packages /opt/rag /opt/rag
COPY --from=vocabulary /vocabulary /usr/local/share/tiktoken
RUN --mount=type=bind,from=wheel,source=/wheel,target=/wheel \
    pip --python /opt/rag/bin/python install --no-cache-dir --no-index --no-deps /wheel/*.whl \
    && pip --python /opt/rag/bin/python check

# Two more commands, so that no entrypoint script has to tell a process of ours from any other program.
COPY --chmod=0755 <<'EOF' /usr/local/bin/api
#!/bin/sh
exec python -m rag_service.main "$@"
EOF

COPY --chmod=0755 <<'EOF' /usr/local/bin/worker
#!/bin/sh
exec python -m ingest worker "$@"
EOF

COPY --chmod=0755 <<'EOF' /usr/local/bin/health
#!/opt/rag/bin/python
"""Exit 0 if the process of this container does its work: `health [live | ready | worker]`.

Without a word it is `live` in an api, `worker` in a worker, and nothing to check anywhere else.
"""
import asyncio
import http.client
import os
import sys
from pathlib import Path


def asked_for() -> str:
    if len(sys.argv) > 1:
        return sys.argv[1]
    words = Path("/proc/1/cmdline").read_text().split("\0")
    return "live" if "api" in words else "worker" if "worker" in words else "nothing"


def answers(route: str) -> bool:
    connection = http.client.HTTPConnection("127.0.0.1", int(os.environ.get("RAG_PORT") or 8000), timeout=4)
    connection.request("GET", route)
    return connection.getresponse().status == 200


async def works() -> bool:
    """Whether a worker at this container's address has used the database within the last minute.

    One that is idle looks at the queue every two seconds, one that is busy renews its lease.
    """
    from sqlalchemy import text

    from rag_service.db.engine import Database
    from rag_service.settings import load_settings

    database = Database(load_settings().database_url.get_secret_value(), pool=2, application="rag-health")
    try:
        async with asyncio.timeout(8), database.transaction() as session:
            return bool(await session.scalar(text(
                "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'rag-worker' "
                "AND datname = current_database() AND client_addr IS NOT DISTINCT FROM inet_client_addr() "
                "AND state_change > now() - interval '1 minute'"
            )))
    finally:
        await database.close()


what = asked_for()
try:
    well = what == "nothing" or (asyncio.run(works()) if what == "worker" else answers(f"/health/{what}"))
except Exception as error:
    sys.exit(f"{what}: {type(error).__name__}: {error}")
sys.exit(0 if well else f"{what}: no")
EOF

# Python of the product first. Models that are named by a hub's name are kept with the state, where the user may write.
# hadolint ignore=DL3064
ENV PATH=/opt/rag/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    RAG_HOST=0.0.0.0 \
    RAG_PORT=8000 \
    RAG_STATE_DIR=/var/lib/rag \
    HF_HOME=/var/lib/rag/huggingface \
    TIKTOKEN_CACHE_DIR=/usr/local/share/tiktoken \
    MALLOC_ARENA_MAX=2

# Not the state folder: a file named .env there would be read as settings.
WORKDIR /opt/rag
VOLUME /var/lib/rag
EXPOSE 8000
# By number: an orchestrator that insists on an ordinary user cannot look up a name.
USER 10001:10001

# tini, since the first process of a container inherits what others leave behind (a killed reader of files may have
# children) and is not ended by a signal that it does not handle (`rag keys list`). It passes signals on to its child
# alone: a reader that was ended together with its worker would count as crashed over its file.
ENTRYPOINT ["tini", "--"]
CMD ["api"]
STOPSIGNAL SIGTERM
# The first start has a database to wait for and a model to load.
HEALTHCHECK --interval=30s --timeout=10s --start-period=90s --retries=3 CMD ["health"]
