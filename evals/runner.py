"""Runs a suite: some questions at once, every answer measured, every line kept as soon as it is there."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TextIO

from evals.errors import ResultsError
from evals.outcomes import measured, not_measured
from evals.provenance import Target, header_of, prompts_of, told_by
from evals.results import CaseResult, Header, Results, as_line, save
from evals.scoring import CUTOFFS
from evals.suite import Case, Suite
from evals.target import ask, is_alive
from rag_service.client import Client
from rag_service.errors import RagError

NOT_ASKED = "Not asked: the target had stopped answering."
INTERRUPTED = "Not asked: the run was interrupted."

Report = Callable[[CaseResult], None]


@dataclass(frozen=True)
class Plan:
    """How a suite is run. `seconds` is the longest that one case may take, its history included."""

    concurrency: int = 4
    limit: int | None = None
    cutoffs: Sequence[int] = CUTOFFS
    seconds: float = 180.0


@dataclass
class _Run:
    """A run under way."""

    target: Target
    client: Client
    plan: Plan
    keep: Callable[[CaseResult], None]
    done: dict[str, CaseResult] = field(default_factory=dict)
    conversations: dict[bool, str] = field(default_factory=dict)
    dead: bool = False

    async def work(self, waiting: "asyncio.Queue[Case]") -> None:
        """Take cases until there are no more."""
        while not waiting.empty():
            case = waiting.get_nowait()
            result = not_measured(case, NOT_ASKED) if self.dead else await self._measured(case)
            self.done[case.id] = result
            self.keep(result)

    async def _measured(self, case: Case) -> CaseResult:
        try:
            async with asyncio.timeout(self.plan.seconds):
                reply = await ask(self.client, case)
        except TimeoutError:
            return not_measured(case, f"No whole answer within {self.plan.seconds:g} seconds.")
        except RagError as error:
            # One failed question is its own fault for as long as the target is there to answer others.
            if not self.dead and not await is_alive(self.target.url):
                self.dead = True
            return not_measured(case, error.detail)
        # Which prompts were used depends on whether a question followed on from others.
        self.conversations[bool(case.history)] = reply.conversation_id
        return measured(case, reply, self.plan.cutoffs)


async def run_suite(
    suite: Suite, target: Target, output: Path, *, plan: Plan | None = None, report: Report | None = None
) -> Results:
    """Ask the target every question of the suite, and keep the results in `output`.

    Lines are written as answers come; at the end the file is written anew, in the suite's order. However the run
    ends, the file has a line for every case: what was measured, and an error for what was not.

    Raises:
        EvalError: the target cannot be asked at all; nothing is written.
        ResultsError: `output` cannot be written.
    """
    plan = plan or Plan()
    cases = suite.first(plan.limit)
    told = await told_by(target, cases)
    header = await header_of(suite, cases, target, told, plan.concurrency)
    with _opened(output) as file:
        _append(file, header)

        def keep(result: CaseResult) -> None:
            _append(file, result)
            if report:
                report(result)

        async with Client(target.url, target.key) as client:
            run = _Run(target, client, plan, keep)
            try:
                await _ask_all(run, cases)
            finally:
                # Also when Ctrl-C ends it: what is there is kept, what is not is said not to be.
                results = _whole(header, cases, run)
                save(output, results)
    if not run.dead:
        prompts = await prompts_of(target, list(run.conversations.values()))
        results = Results(results.header.model_copy(update={"prompts": prompts}), results.cases)
        save(output, results)
    return results


async def _ask_all(run: _Run, cases: Sequence[Case]) -> None:
    waiting: asyncio.Queue[Case] = asyncio.Queue()
    for case in cases:
        waiting.put_nowait(case)
    try:
        async with asyncio.TaskGroup() as group:
            for _ in range(max(1, min(run.plan.concurrency, len(cases)))):
                group.create_task(run.work(waiting))
    except* ResultsError as failed:
        raise ResultsError(str(failed.exceptions[0])) from failed


def _whole(header: Header, cases: Sequence[Case], run: _Run) -> Results:
    ordered = [run.done.get(case.id) or not_measured(case, INTERRUPTED) for case in cases]
    models = sorted({result.model for result in ordered if result.model})
    return Results(header.model_copy(update={"models": models}), ordered)


def _opened(output: Path) -> TextIO:
    try:
        output.parent.mkdir(parents=True, exist_ok=True)
        return output.open("w", encoding="utf-8")
    except OSError as error:
        raise ResultsError(f"{output} cannot be written: {error.strerror}.") from error


def _append(file: TextIO, record: Header | CaseResult) -> None:
    try:
        file.write(as_line(record))
        file.flush()
    except OSError as error:
        raise ResultsError(f"{file.name} cannot be written: {error.strerror}.") from error
