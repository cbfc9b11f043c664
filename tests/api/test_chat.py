"""A question in, a cited answer out, over HTTP."""

from tests.conftest import Server


async def test_a_question_is_answered_with_a_citation_of_its_source(server: Server) -> None:
    await server.upload(("moon.md", "# Moon\n\nThe moon is made of basalt and anorthosite.\n"))
    answer = await server.http.post(
        "/api/v1/chat", json={"message": "What is the moon made of?", "stream": False}
    )
    assert answer.status_code == 200, answer.text
    body = answer.json()
    assert "The moon is made of basalt and anorthosite. [1]" in body["answer"]
    assert body["citations"][0]["quote"] == "The moon is made of basalt and anorthosite."
    assert body["sources"][0]["filename"] == "moon.md"
