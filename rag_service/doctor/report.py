"""An examination for people, and for programs."""

import json
from collections.abc import Sequence
from dataclasses import asdict

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from rag_service.doctor.findings import Finding


def as_json(findings: Sequence[Finding]) -> str:
    """`{"ok": …, "findings": [{check, where, what, todo, count, mended, left, examples, note}]}`."""
    return json.dumps(
        {
            "ok": not any(finding.left for finding in findings),
            "findings": [{**asdict(finding), "left": finding.left} for finding in findings],
        },
        ensure_ascii=False,
    )


def print_findings(findings: Sequence[Finding], console: Console) -> None:
    """What differs, a row each, and what to do about it."""
    if findings:
        table = Table("Where", "What", "Found", "Mended", "What to do")
        for finding in findings:
            colour = "dim" if finding.note else "red" if finding.left else "green"
            what = f"[{colour}]{escape(finding.what)}[/]"
            if finding.examples:
                more = ", …" if finding.count > len(finding.examples) else ""
                what += f"\n[dim]{escape(', '.join(finding.examples))}{more}[/]"
            mended = str(finding.mended) if finding.mended else ""
            todo = "" if finding.mended and not finding.left else escape(finding.todo)
            table.add_row(escape(finding.where), what, str(finding.count), mended, todo)
        console.print(table)
    if any(finding.left for finding in findings):
        console.print("[red]Something differs.[/]")
    else:
        console.print("[green]Nothing differs: PostgreSQL, the indexes and the original files agree.[/]")
