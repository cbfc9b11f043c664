"""What docker-compose.yml and .env.example promise."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from rag_service.settings import Settings

ROOT = Path(__file__).parents[3]
TEXT = (ROOT / "docker-compose.yml").read_text()
COMPOSE: dict[str, Any] = yaml.safe_load(TEXT)
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
OURS = ("api", "worker")
# What compose fills in: ${NAME:-value} and ${NAME:?sentence}.
INTERPOLATED = {match[1]: match[2] for match in re.finditer(r"(?<!\$)\$\{(\w+)([^}]*)\}", TEXT)}


def _constraints() -> dict[str, str]:
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    return dict(line.split("==") for line in lines if "==" in line)


def _settings() -> set[str]:
    """Every variable that the service reads."""
    return {
        str(field.validation_alias.choices[0])  # type: ignore[union-attr]
        if field.validation_alias is not None
        else f"RAG_{name.upper()}"
        for name, field in Settings.model_fields.items()
    }


def _example() -> dict[str, str]:
    """The variables of .env.example, those that are commented out too."""
    lines = (ROOT / ".env.example").read_text().splitlines()
    return {match[1]: match[2] for line in lines if (match := re.fullmatch(r"(?:# )?([A-Z_]+)=(.*)", line))}


def test_only_the_api_is_published_and_only_to_this_machine() -> None:
    assert {name: service["ports"] for name, service in SERVICES.items() if "ports" in service} == {
        "api": ["${PUBLISH:-127.0.0.1:8000}:8000"]
    }
    assert not any("network_mode" in service for service in SERVICES.values())


def test_the_database_and_the_index_are_on_a_network_without_a_way_out() -> None:
    assert COMPOSE["networks"]["inside"] == {"internal": True}
    for name in ("postgres", "chroma"):
        assert SERVICES[name]["networks"] == ["inside"]


@pytest.mark.parametrize("name", list(SERVICES))
def test_is_hardened_watched_and_restarted(name: str) -> None:
    service = SERVICES[name]
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert service["restart"] == "unless-stopped"
    assert service["healthcheck"]["test"]
    assert {"max-size", "max-file"} <= set(service["logging"]["options"])
    # A fixed name would keep a service from being scaled.
    assert "container_name" not in service and "privileged" not in service


def test_versions_are_those_that_are_tested() -> None:
    assert SERVICES["chroma"]["image"] == f"chromadb/chroma:{_constraints()['chromadb']}"
    cluster = (ROOT / "rag_service" / "supervisor" / "cluster.py").read_text()
    major = re.search(r'^MAJOR_VERSION = "(\d+)"', cluster, re.MULTILINE)
    assert major is not None and SERVICES["postgres"]["image"] == f"postgres:{major[1]}"


def test_data_is_kept_in_named_volumes() -> None:
    assert set(COMPOSE["volumes"]) == {"state", "postgres", "chroma"}
    # Since 18 the image keeps its data one level higher: mounted below, it would be lost with the container.
    assert SERVICES["postgres"]["volumes"] == ["postgres:/var/lib/postgresql"]
    assert SERVICES["chroma"]["volumes"] == ["chroma:/data"]
    for name in OURS:
        assert "state:/var/lib/rag" in SERVICES[name]["volumes"]
        assert SERVICES[name]["environment"]["RAG_STATE_DIR"] == "/var/lib/rag"


def test_the_server_takes_as_large_a_batch_as_the_local_one() -> None:
    source = (ROOT / "rag_service" / "supervisor" / "chroma.py").read_text()
    local = re.search(r"^_MAX_REQUEST_BYTES = ([\d *]+)$", source, re.MULTILINE)
    assert local is not None
    product = 1
    for factor in local[1].split("*"):
        product *= int(factor)
    assert int(SERVICES["chroma"]["environment"]["CHROMA_MAX_PAYLOAD_SIZE_BYTES"]) == product


@pytest.mark.parametrize("secret", ["RAG_SECRET_KEY", "POSTGRES_PASSWORD"])
def test_a_secret_that_is_missing_stops_the_start_with_a_sentence(secret: str) -> None:
    assert INTERPOLATED[secret].startswith(f":?{secret} is not set. ") and INTERPOLATED[secret].endswith(".")
    # Empty in the example: a secret that everybody knows is none.
    assert _example()[secret] == ""


def test_no_secret_has_a_default() -> None:
    for name, rest in INTERPOLATED.items():
        if re.search(r"KEY|PASSWORD", name):
            assert rest.startswith(":?"), name


def test_every_variable_of_ours_is_a_setting() -> None:
    for name in OURS:
        assert set(SERVICES[name]["environment"]) - _settings() == {"PGPASSWORD"}


def test_every_variable_of_the_example_is_read_by_something() -> None:
    example = _example()
    assert set(example) <= _settings() | set(INTERPOLATED)
    assert set(INTERPOLATED) <= set(example)
    # Set there, they would be overruled in the containers, silently.
    assert not set(example) & (set(SERVICES["api"]["environment"]) - set(INTERPOLATED))


def test_the_values_of_the_example_are_the_defaults(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a comment shows as the value is the one in force, but where it is an example of another."""
    shown = {name: value for name, value in _example().items() if value and name in _settings()}
    shown.pop("RAG_ALLOWED_HOSTS")
    shown.pop("RAG_HOME_CHAT")
    shown.pop("RAG_FETCH_ALLOW_PRIVATE")
    default = Settings(_env_file=None)
    for name, value in shown.items():
        monkeypatch.setenv(name, value)
    told = Settings(_env_file=None)
    for name in Settings.model_fields:
        if name != "chat_model":
            assert getattr(told, name) == getattr(default, name), name
