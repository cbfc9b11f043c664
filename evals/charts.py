"""The drawings of the report: inline SVG without text, so that it may be stretched; labels are HTML beside it."""

import math
from collections.abc import Sequence

import numpy as np

from evals.bootstrap import Interval
from evals.markup import Html, el, join

BINS = 16


def share_bar(value: float, interval: Interval | None, label: str) -> Html:
    """A bar from 0 to 1 with its interval as a line with two ends."""
    parts = [
        el("rect", class_="track", x=0, y=4, width=100, height=8, rx=1),
        el("rect", class_="fill", x=0, y=4, width=_round(100 * value), height=8, rx=1),
    ]
    if interval is not None:
        low, high = _round(100 * interval.low), _round(100 * interval.high)
        parts += [
            el("line", class_="whisker", x1=low, x2=high, y1=8, y2=8),
            el("line", class_="whisker", x1=low, x2=low, y1=2, y2=14),
            el("line", class_="whisker", x1=high, x2=high, y1=2, y2=14),
        ]
    return _svg("bar", 16, label, parts)


def _svg(kind: str, height: int, label: str, parts: Sequence[Html]) -> Html:
    return el(
        "svg", *parts, class_=kind, viewBox=f"0 0 100 {height}", preserveAspectRatio="none", role="img",
        aria_label=label,
    )  # fmt: skip


def histogram(values: Sequence[float]) -> Html:
    """How many questions took how long, with the median and the 95th percentile marked; in milliseconds."""
    step = nice_step(max(values) / BINS)
    counts = [0] * (math.floor(max(values) / step) + 1)
    for value in values:
        counts[math.floor(value / step)] += 1
    median, slow = (float(one) for one in np.percentile(values, [50, 95]))
    label = f"Histogram of {len(values)} times to first token: median {median:.0f} ms, 95th percentile {slow:.0f} ms."
    span = len(counts) * step
    shapes = [*_columns(counts), _mark("median", median / span), _mark("slow", slow / span)]
    return join(
        _key(median, slow),
        el("p", f"Questions; the tallest column stands for {max(counts)}.", class_="axis"),
        _svg("histogram", 50, label, shapes),
        _ticks(len(counts), step),
        el("p", "Milliseconds from sending the question to the first words of the answer.", class_="axis"),
    )


def _columns(counts: Sequence[int]) -> list[Html]:
    width, tallest = 100 / len(counts), max(counts)
    return [
        el(
            "rect", class_="column", x=_round(index * width + 0.08 * width), width=_round(0.84 * width),
            y=_round(50 - 46 * count / tallest), height=_round(46 * count / tallest),
        )
        for index, count in enumerate(counts)
        if count
    ]  # fmt: skip


def _mark(name: str, place: float) -> Html:
    x = _round(100 * place)
    return el("line", class_=f"mark {name}", x1=x, x2=x, y1=0, y2=50)


def _key(median: float, slow: float) -> Html:
    return el(
        "p",
        el("span", class_="swatch median"), f"median: half are faster than {median:,.0f} ms",
        el("span", class_="swatch slow"), f"95th percentile: one in twenty is slower than {slow:,.0f} ms",
        class_="key",
    )  # fmt: skip


def _ticks(bins: int, step: float) -> Html:
    marks = [
        el(
            "span", f"{index * step:,.0f}", style=f"left:{_round(100 * index / bins)}%",
            class_="end" if index == bins else None,
        )
        for index in range(0, bins + 1, max(1, math.ceil(bins / 5)))
    ]  # fmt: skip
    return el("div", *marks, class_="ticks")


def nice_step(rough: float) -> float:
    """The smallest of 1, 2, 2.5 and 5 times a power of ten that is `rough` or more."""
    if rough <= 0:
        return 1.0
    power = 10.0 ** math.floor(math.log10(rough))
    return next(factor * power for factor in (1, 2, 2.5, 5, 10) if factor * power >= rough * (1 - 1e-9))


def _round(number: float) -> float:
    return round(number, 2)
