"""Each JSON body of the API, with each of its fields spoilt in each of the ways that PostgreSQL or the code might trip
over: told by the name of the field, and never a 500."""

import json
from typing import Any
from uuid import uuid4

import pytest

from tests.api.support import check_problem
from tests.conftest import Server

UNSTORABLE = ['"a\\u0000b"', '"\\ud800"']
SPOILT = [*UNSTORABLE, '{"$ne": ""}', "[[]]", "1e999", "[" * 500 + "]" * 500]
APART = {"url_refused", "embed_not_found"}
"""What is judged in other words: a URL, and what somebody without a key sends."""
STRANGERS = {"role": "admin", "owner_id": str(uuid4()), "$or": []}
OPENAI = "/v1/chat/completions"
"""Fields that it does not know are left alone there: clients send many."""


async def bodies(server: Server) -> dict[tuple[str, str], dict[str, Any]]:
    """By method and path, the schema of the body of each route that takes JSON."""
    told = (await server.http.get("/api/v1/openapi.json")).json()
    found = {}
    for path, methods in told["paths"].items():
        for method, route in methods.items():
            shape = route.get("requestBody", {}).get("content", {}).get("application/json", {}).get("schema")
            if shape is not None:
                name = (shape.get("$ref") or shape["anyOf"][0]["$ref"]).rpartition("/")[2]
                found[method.upper(), path] = told["components"]["schemas"][name]
    return found


async def test_no_field_of_any_body_can_be_spoilt_unnoticed(quoting: Server) -> None:
    shapes = await bodies(quoting)
    assert len(shapes) > 12, shapes.keys()
    for (method, path), shape in shapes.items():
        where = path.format_map(Somewhere())
        for field in shape["properties"]:
            for value in SPOILT:
                body = f'{{"{field}": {value}}}'
                headers = {"Content-Type": "application/json"}
                answer = await quoting.http.request(method, where, content=body.encode(), headers=headers)
                said = (method, path, body[:80], answer.text)
                assert 400 <= answer.status_code < 500, said
                if path == OPENAI or value not in UNSTORABLE or answer.json()["code"] in APART:
                    continue
                check_problem(answer, 422, "invalid_input")
                assert field in {error["field"].split(".")[0] for error in answer.json()["errors"]}, said


class Somewhere(dict[str, str]):
    def __missing__(self, name: str) -> str:
        return "default" if name in ("slug", "model") else "emb_x" if name == "embed_id" else str(uuid4())


@pytest.mark.parametrize("field", STRANGERS)
async def test_a_field_that_no_body_has_is_refused_by_its_name(quoting: Server, field: str) -> None:
    for (method, path), shape in (await bodies(quoting)).items():
        if path == OPENAI or field in shape["properties"]:
            continue
        content = json.dumps({field: STRANGERS[field]})
        headers = {"Content-Type": "application/json"}
        answer = await quoting.http.request(
            method, path.format_map(Somewhere()), content=content, headers=headers
        )
        problem = check_problem(answer, 422, "invalid_input")
        assert field in {error["field"] for error in problem["errors"]}, (method, path, problem)
