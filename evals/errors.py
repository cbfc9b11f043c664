"""What can go wrong with a suite, a result or a target; each a sentence that says what to change.

EvalError              base: something an evaluator can mend
├── SuiteError         a suite, or a data set to be imported, is malformed
├── ResultsError       a file of results is malformed, or of another suite
└── ConditionError     a `--fail-if` condition cannot be understood
"""

from pathlib import Path

from rag_service.errors import RagError


class EvalError(RagError):
    code = "evaluation_error"
    title = "The evaluation cannot go on"


class SuiteError(EvalError):
    code = "malformed_suite"
    title = "The suite cannot be used"


class ResultsError(EvalError):
    code = "malformed_results"
    title = "The results cannot be used"


class ConditionError(EvalError):
    code = "malformed_condition"
    title = "The condition cannot be understood"


def at(path: Path, line: int | None, field: str, what: str) -> str:
    """`suite.yaml, line 12, answers[0]: must be text.`: where a fault stands, and what it is."""
    place = [str(path), f"line {line}" if line else "", field]
    return f"{', '.join(part for part in place if part)}: {what}"
