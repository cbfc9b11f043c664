"""What chat programs ask of a model for themselves: a conversation's title, its tags, questions to go on with.

They are no questions to documents. A language model does them; nothing is searched for, cited or kept. So that nobody
gets an answer this way that no document stands behind, what comes back is one JSON object, or nothing.
"""

import json

from langchain_core.messages import HumanMessage

from rag_service.chat.llm import ChatModel, Completion
from rag_service.chat.usage import Call
from rag_service.errors import InvalidInput, ModelUnavailable

_MARK, _ABOUT = "### Task:", "<chat_history>"
_HEAD, _TAIL = 4000, 8000
"""Characters that a model is given of a long errand: of what to do, and of the newest that was said."""


def is_errand(text: str) -> bool:
    """Whether a message is one, by the form in which Open WebUI words its own."""
    return text.lstrip().startswith(_MARK) and _ABOUT in text


class Errands:
    """Done by a language model, where there is one."""

    def __init__(self, model: ChatModel | None) -> None:
        self._model = model

    async def do(self, text: str, calls: list[Call]) -> str:
        """One JSON object; what the model used is among `calls`, also where this fails.

        Raises:
            InvalidInput: there is no model.
            ModelUnavailable: it fails, or says something else than a JSON object.
        """
        if self._model is None:
            raise InvalidInput(
                "Titles, tags and the like need a language model, and none is set here: answers are quotes.",
                code="no_language_model",
            )
        return _object(
            await self._model.complete([HumanMessage(_clipped(text))], Completion("errand", calls))
        )


def _clipped(text: str) -> str:
    return text if len(text) <= _HEAD + _TAIL else f"{text[:_HEAD]}\n…\n{text[-_TAIL:]}"


def _object(said: str) -> str:
    """The one JSON object in what was said. Raises ModelUnavailable."""
    try:
        found = json.loads(said[said.find("{") : said.rfind("}") + 1])
    except ValueError:
        found = None
    if not isinstance(found, dict):
        raise ModelUnavailable(
            "The language model did not keep to the form that was asked for.", code="no_json"
        )
    return json.dumps(found, ensure_ascii=False)
