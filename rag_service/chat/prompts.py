"""Prompts: one Markdown file each, with its name, version, role and variables at the top."""

import hashlib
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import yaml
from langchain_core.messages import BaseMessage, HumanMessage, SystemMessage
from langchain_core.prompts import PromptTemplate
from pydantic import BaseModel

from rag_service.errors import ConfigurationError

_FORM = re.compile(r"---\n(?P<front>.*?)^---\n(?P<body>.*)", re.DOTALL | re.MULTILINE)


class _Front(BaseModel):
    """What a prompt says of itself."""

    name: str
    version: int
    role: Literal["system", "user"]
    variables: list[str]


@dataclass(frozen=True)
class Prompt:
    """A prompt that has said which variables it takes. Values are put in as they are: never a template."""

    name: str
    version: int
    role: str
    template: PromptTemplate
    sha256: str

    @property
    def mark(self) -> dict[str, Any]:
        """What is stored with every answer that this prompt helped to make."""
        return {"name": self.name, "version": self.version, "sha256": self.sha256}

    def message(self, **values: str) -> BaseMessage:
        """The message with its variables put in."""
        text = self.template.format(**values)
        return SystemMessage(text) if self.role == "system" else HumanMessage(text)


def load_prompt(folder: Path, name: str) -> Prompt:
    """Read `name`.md.

    Raises:
        ConfigurationError: it is missing or not well formed, or its variables are not the ones it declares.
    """
    path = folder / f"{name}.md"
    try:
        raw = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"The prompt {path} cannot be read; check RAG_PROMPTS_DIR.") from error
    form = _FORM.fullmatch(raw)
    try:
        front = _Front.model_validate(yaml.safe_load(form["front"]) if form else None)
        template = PromptTemplate.from_template(form["body"].strip() if form else "")
    except (ValueError, yaml.YAMLError) as error:
        raise ConfigurationError(
            f"The prompt {path} is not well formed: it begins with a block between two lines of `---` that gives "
            "name, version, role (system or user) and variables, and a brace that is no variable's is doubled."
        ) from error
    if set(front.variables) != set(template.input_variables):
        raise ConfigurationError(
            f"The prompt {path} declares the variables {sorted(front.variables)} but uses "
            f"{sorted(template.input_variables)}."
        )
    return Prompt(
        name=front.name,
        version=front.version,
        role=front.role,
        template=template,
        sha256=hashlib.sha256(raw.encode()).hexdigest(),
    )


def load_answer_prompts(folder: Path) -> dict[str, Prompt]:
    """The prompts that a knowledge base can choose from for its answers: system prompts in files that begin with
    `answer`, by the file's name without its ending.

    Raises:
        ConfigurationError: one is not well formed, or there is none called `answer`.
    """
    names = {"answer", *(path.stem for path in folder.glob("answer*.md"))}
    found = {name: load_prompt(folder, name) for name in sorted(names)}
    for name, prompt in found.items():
        if prompt.role == "system" and prompt.template.input_variables:
            raise ConfigurationError(
                f"The prompt {folder / name}.md has variables; a system prompt that begins with `answer` has none."
            )
    return {name: prompt for name, prompt in found.items() if prompt.role == "system"}
