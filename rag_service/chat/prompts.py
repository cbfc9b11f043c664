"""Prompts: one Markdown file each, with its name, version, role and variables at the top."""

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from langchain_core.messages import BaseMessage, HumanMessage, SystemMessage
from langchain_core.prompts import PromptTemplate

from rag_service.errors import ConfigurationError


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
        ConfigurationError: it is missing, or its variables are not the ones it declares.
    """
    path = folder / f"{name}.md"
    try:
        raw = path.read_text(encoding="utf-8")
    except OSError as error:
        raise ConfigurationError(f"The prompt {path} cannot be read; check RAG_PROMPTS_DIR.") from error
    try:
        _, front, body = raw.split("---\n", 2)
        declared = yaml.safe_load(front)
        template = PromptTemplate.from_template(body.strip())
        prompt = Prompt(
            name=declared["name"],
            version=int(declared["version"]),
            role=declared["role"],
            template=template,
            sha256=hashlib.sha256(raw.encode()).hexdigest(),
        )
    except (ValueError, KeyError, TypeError, yaml.YAMLError) as error:
        raise ConfigurationError(
            f"The prompt {path} is not well formed: it begins with a block between two lines of `---` that gives "
            "name, version, role and variables."
        ) from error
    if set(declared["variables"]) != set(template.input_variables):
        raise ConfigurationError(
            f"The prompt {path} declares the variables {sorted(declared['variables'])} but uses "
            f"{sorted(template.input_variables)}."
        )
    return prompt
