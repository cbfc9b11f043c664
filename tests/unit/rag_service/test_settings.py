"""Settings: what is read, what is refused and in which words, what is kept in the state folder."""

import base64
import os
import traceback
from pathlib import Path

import pytest
from pydantic import SecretStr

from rag_service.endpoints import Endpoints
from rag_service.errors import ConfigurationError
from rag_service.private_files import write_private
from rag_service.settings import Settings, load_settings

STRONG = "kX3-9vQz_Lm27Tn4bWc8RyP0dJfH5sGa"


@pytest.fixture(autouse=True)
def _own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No `.env` but the test's own."""
    monkeypatch.chdir(tmp_path)


def refusal(monkeypatch: pytest.MonkeyPatch, **environment: str) -> str:
    """The sentence that refuses the environment. No value that was given is in it, nor in its traceback."""
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(ConfigurationError) as refused:
        load_settings()
    shown = "".join(traceback.format_exception(refused.value))
    for value in environment.values():
        assert value not in shown
    return refused.value.detail


@pytest.mark.parametrize("secret", ["too-short-4711", "short", "abcabcabcabcabcabcabcabcabcabcabcabcabcabc"])
def test_a_weak_secret_is_refused(monkeypatch: pytest.MonkeyPatch, secret: str) -> None:
    detail = refusal(monkeypatch, RAG_SECRET_KEY=secret)
    assert detail.startswith("RAG_SECRET_KEY is too weak: use at least 32 random characters")


def test_a_shared_database_without_a_shared_secret_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    detail = refusal(monkeypatch, DATABASE_URL="postgresql://someone:hunter2@db/rag")
    assert detail.startswith("RAG_SECRET_KEY is not set, but DATABASE_URL is")


@pytest.mark.parametrize("url", ["http://h:6379", "redis:///0", "6379-by-itself", "redis://h:x/0"])
def test_an_address_that_is_no_redis_is_refused(monkeypatch: pytest.MonkeyPatch, url: str) -> None:
    assert refusal(monkeypatch, REDIS_URL=url).startswith("REDIS_URL is no address of a Redis server")


WEBHOOK = "https://hooks.example.org/rag?token=t"
WEBHOOK_SECRET = "whsec_" + base64.b64encode(bytes(range(32))).decode()


@pytest.mark.parametrize(
    "url",
    [
        "ftp://h/x",
        "hooks.example.org",
        "http://",
        "http://u:pw@h/",
        "http://h:x1/",
        "http://a b/",
        "http://[::1",
    ],
)
def test_an_address_that_is_no_webhook_is_refused(monkeypatch: pytest.MonkeyPatch, url: str) -> None:
    monkeypatch.setenv("RAG_WEBHOOK_SECRET", WEBHOOK_SECRET)
    monkeypatch.setenv("RAG_WEBHOOK_URL", url)
    with pytest.raises(ConfigurationError, match=r"^RAG_WEBHOOK_URL is no address"):
        load_settings()


def test_a_webhook_without_a_secret_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    detail = refusal(monkeypatch, RAG_WEBHOOK_URL=WEBHOOK)
    assert detail.startswith("RAG_WEBHOOK_SECRET is not set, but RAG_WEBHOOK_URL is")


@pytest.mark.parametrize(
    "secret", ["short-1234", "whsec_!!!!", "whsec_c2hvcnQ=", "aaaaaaaabbbbbbbbccccccccdddd"]
)
def test_a_weak_webhook_secret_is_refused(monkeypatch: pytest.MonkeyPatch, secret: str) -> None:
    detail = refusal(monkeypatch, RAG_WEBHOOK_URL=WEBHOOK, RAG_WEBHOOK_SECRET=secret)
    assert detail.startswith("RAG_WEBHOOK_SECRET is too weak")


def test_a_webhook_is_signed_with_the_key_that_its_secret_stands_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAG_WEBHOOK_URL", WEBHOOK)
    monkeypatch.setenv("RAG_WEBHOOK_SECRET", WEBHOOK_SECRET)
    settings = load_settings()
    assert settings.webhook_key() == bytes(range(32))
    assert "token=t" not in repr(settings)
    monkeypatch.setenv("RAG_WEBHOOK_SECRET", STRONG)
    assert load_settings().webhook_key() == STRONG.encode()


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("RAG_PORT", "99999"),
        ("RAG_PORT", "0"),
        ("RAG_PORT", "eighty-eighty"),
        ("RAG_LOG_LEVEL", "chatty-42"),
        ("RAG_CHUNK_TOKENS", "31"),
        ("RAG_MAX_FILE_BYTES", "0"),
        ("RAG_EXTRACT_SECONDS", "-7.5"),
        ("RAG_REFUSAL_SCORE", "1.75"),
        ("RAG_RETRIEVE_CHUNKS", "51"),
        ("RAG_SAMPLE", "perhaps-not"),
        ("RAG_DATABASE_POOL", "1"),
    ],
)
def test_a_value_out_of_bounds_is_refused_by_the_name_of_its_setting(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(ConfigurationError) as refused:
        load_settings()
    assert refused.value.detail.startswith(f"{name}: ")
    assert value not in refused.value.detail


def test_all_that_is_wrong_is_said_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    detail = refusal(monkeypatch, RAG_PORT="port-x", RAG_CHUNK_TOKENS="tokens-y")
    assert "RAG_PORT: " in detail and "; RAG_CHUNK_TOKENS: " in detail


def test_a_dotenv_file_is_read_and_the_environment_wins_over_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / ".env").write_text(
        f"RAG_PORT=9001\nRAG_HOST=0.0.0.0\nRAG_SECRET_KEY={STRONG}\n"
        "DATABASE_URL=postgresql://db/rag\nOPENAI_API_KEY='sk-from-file'\nSOMETHING_ELSE=1\n"
    )
    monkeypatch.setenv("RAG_HOST", "::1")
    settings = load_settings()
    assert (settings.port, settings.host) == (9001, "::1")
    assert settings.openai_api_key == SecretStr("sk-from-file")
    assert settings.database_url == SecretStr("postgresql://db/rag")
    assert settings.secret() == STRONG


def test_a_dotenv_file_is_refused_as_the_environment_is(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("RAG_PORT=http\n")
    with pytest.raises(ConfigurationError, match=r"^RAG_PORT: "):
        load_settings()


def test_an_empty_variable_is_one_that_is_not_set(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("DATABASE_URL", "CHROMA_URL", "RAG_SECRET_KEY", "RAG_PORT", "RAG_CHAT_MODEL"):
        monkeypatch.setenv(name, "")
    settings = load_settings()
    assert (settings.port, settings.database_url, settings.answers_with) == (8000, None, "extractive")


def test_no_secret_is_shown_when_settings_are_printed() -> None:
    settings = Settings(
        _env_file=None,
        secret_key=SecretStr(STRONG),
        database_url=SecretStr("postgresql://rag:hunter2@db/rag"),
        openai_api_key=SecretStr("sk-very-secret"),
    )
    for shown in (repr(settings), str(settings), settings.model_dump_json()):
        assert STRONG not in shown and "hunter2" not in shown and "sk-very-secret" not in shown


@pytest.mark.parametrize(
    ("changes", "model"),
    [
        ({}, "extractive"),
        ({"openai_base_url": "http://127.0.0.1:1/v1"}, "openai:gpt-4o-mini"),
        ({"openai_api_key": SecretStr("sk-x")}, "openai:gpt-4o-mini"),
        ({"openai_api_key": SecretStr("sk-x"), "chat_model": "extractive"}, "extractive"),
        ({"chat_model": "anthropic:claude"}, "anthropic:claude"),
    ],
)
def test_the_chat_model_follows_from_what_is_configured(changes: dict[str, object], model: str) -> None:
    base = Settings(_env_file=None)
    assert base.answers_with == "extractive"
    assert base.model_copy(update=changes).answers_with == model


def test_paths_do_not_depend_on_the_current_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = Settings(_env_file=None, state_dir=Path("state"))
    monkeypatch.chdir("/")
    assert settings.state_dir == tmp_path / "state"
    assert Settings(_env_file=None, state_dir=Path("~/x")).state_dir == Path.home() / "x"
    assert (Settings(_env_file=None).prompts_dir / "answer.md").is_file()
    assert Settings(_env_file=None).sample_dir.is_dir()


def test_a_secret_is_made_once_and_kept_for_this_user_alone(tmp_path: Path) -> None:
    settings = Settings(_env_file=None, state_dir=tmp_path / "state")
    secret = settings.secret()
    assert len(secret) >= 32
    assert settings.secret() == secret == Settings(_env_file=None, state_dir=tmp_path / "state").secret()
    assert (tmp_path / "state" / "secret.key").stat().st_mode & 0o777 == 0o600
    assert (tmp_path / "state").stat().st_mode & 0o777 == 0o700


@pytest.mark.parametrize("content", [b"", b"half-a-secr", b"\xff\xfe\x00"])
def test_a_damaged_secret_is_refused_rather_than_used(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "secret.key").write_bytes(content)
    with pytest.raises(ConfigurationError, match=r"secret\.key is damaged"):
        Settings(_env_file=None, state_dir=tmp_path).secret()


ENDPOINTS = Endpoints(
    pid=1, api_url="http://127.0.0.1:8000", database_url="postgresql://l/rag", chroma_url="http://c:1"
)


def test_addresses_that_are_not_set_are_those_of_the_local_server(tmp_path: Path) -> None:
    settings = Settings(_env_file=None, state_dir=tmp_path, chroma_url="http://mine:2")
    write_private(settings.endpoints_file, ENDPOINTS.model_dump_json())
    connected = settings.connected()
    assert connected.database_url == SecretStr("postgresql://l/rag")
    assert connected.chroma_url == "http://mine:2"


def test_addresses_that_are_set_need_no_local_server(tmp_path: Path) -> None:
    settings = Settings(
        _env_file=None,
        state_dir=tmp_path,
        secret_key=SecretStr(STRONG),
        database_url=SecretStr("postgresql://db/rag"),
        chroma_url="http://c:1",
    )
    assert settings.connected() is settings


def test_without_a_server_the_sentence_says_how_to_get_one(tmp_path: Path) -> None:
    settings = Settings(_env_file=None, state_dir=tmp_path)
    assert settings.local_endpoints() is None
    with pytest.raises(ConfigurationError, match="rag serve"):
        settings.connected()


@pytest.mark.parametrize(
    "content",
    [b"", b"{", b"[]", b'{"pid": "x", "database_url": "postgresql://rag:hunter2@h/d"}', b"\xff\xfe{"],
)
def test_damaged_endpoints_are_refused_by_the_name_of_their_file(tmp_path: Path, content: bytes) -> None:
    settings = Settings(_env_file=None, state_dir=tmp_path)
    settings.endpoints_file.write_bytes(content)
    with pytest.raises(ConfigurationError, match=r"endpoints\.json is damaged") as refused:
        settings.local_endpoints()
    assert "hunter2" not in "".join(traceback.format_exception(refused.value))


@pytest.mark.parametrize(("umask", "mode"), [(0o000, 0o600), (0o077, 0o600), (0o777, 0o000)])
def test_a_private_file_is_born_private_and_never_changes_its_mode(
    tmp_path: Path, umask: int, mode: int
) -> None:
    # Under a mask that takes everything away, a mode set after birth would show.
    before = os.umask(umask)
    try:
        write_private(tmp_path / "key", "secret")
    finally:
        os.umask(before)
    assert (tmp_path / "key").stat().st_mode & 0o777 == mode


def test_a_private_file_replaces_the_old_one_whole_and_leaves_nothing_beside_it(tmp_path: Path) -> None:
    path = tmp_path / "folder" / "key"
    write_private(path, "first and longer")
    write_private(path, "second")
    assert path.read_text() == "second"
    assert [file.name for file in path.parent.iterdir()] == ["key"]


@pytest.mark.parametrize(
    ("host", "url"),
    [
        ("127.0.0.1", "http://127.0.0.1:80"),
        ("0.0.0.0", "http://127.0.0.1:80"),  # noqa: S104
        ("::", "http://[::1]:80"),
        ("chat.internal", "http://chat.internal:80"),
    ],
)
def test_a_client_on_this_machine_knows_where_to_reach_the_server(host: str, url: str) -> None:
    assert Settings(host=host, port=80).local_url == url


def test_named_hosts_do_not_shut_this_machine_out() -> None:
    """`rag serve` waits for its own server's answer, `rag ask` asks it, and so does a health check."""
    assert Settings(host="0.0.0.0").hosts == ["*"]  # noqa: S104
    named = Settings(host="0.0.0.0", allowed_hosts=["chat.example.org"]).hosts  # noqa: S104
    assert {"chat.example.org", "127.0.0.1", "localhost", "[::1]"} <= set(named) and "*" not in named
    assert "chat.example.org" not in Settings().hosts
