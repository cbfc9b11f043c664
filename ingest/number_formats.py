"""What a sheet shows of a number: 0.256 as 25.6 %, 1.25 days as 30:00, 1234.5 as $1,234.50."""

import re
from collections.abc import Mapping
from decimal import ROUND_HALF_UP, Decimal, InvalidOperation
from functools import lru_cache

BUILT_IN: Mapping[int, str] = {
    1: "0",
    2: "0.00",
    3: "#,##0",
    4: "#,##0.00",
    5: '"$"#,##0;-"$"#,##0',
    6: '"$"#,##0;-"$"#,##0',
    7: '"$"#,##0.00;-"$"#,##0.00',
    8: '"$"#,##0.00;-"$"#,##0.00',
    9: "0%",
    10: "0.00%",
    37: "#,##0;(#,##0)",
    38: "#,##0;(#,##0)",
    39: "#,##0.00;(#,##0.00)",
    40: "#,##0.00;(#,##0.00)",
    41: "#,##0;(#,##0)",
    42: '"$"#,##0;("$"#,##0)',
    43: "#,##0.00;(#,##0.00)",
    44: '"$"#,##0.00;("$"#,##0.00)',
    46: "[h]:mm:ss",
}
"""The formats that a workbook names by number alone (ECMA-376, 18.8.30), without the gaps that only align. Dates
are not among them."""

_TOKEN = re.compile(
    r'"(?P<quoted>[^"]*)"|\\(?P<escaped>.)|[_*].|\[\$(?P<symbol>[^\]-]*)[^\]]*\]|\[(?P<bracket>[^\]]*)\]|(?P<sign>.)',
    re.DOTALL,
)
_COLOUR = re.compile(r"black|blue|cyan|green|magenta|red|white|yellow|color ?\d+", re.IGNORECASE)
_SECONDS = {"h": 3600, "m": 60, "s": 1}
_MOST_DIGITS = 60


def shown(code: str, number: str) -> str | None:
    """What a cell of this format shows of a number; None where that is best told by the number itself, or is a date."""
    try:
        value = Decimal(repr(float(number)))
        sections = _sections(code)
        at = 0
        if len(sections) > 1 and value < 0:
            at, value = 1, -value
        elif len(sections) > 2 and value == 0:
            at = 2
        return _elapsed(sections[at], value) or _number(sections[at], value)
    except (ValueError, InvalidOperation, OverflowError):
        return None


class _Literal(str):
    """A piece of a format that is shown as it is."""


@lru_cache(maxsize=1_000)
def _sections(code: str) -> list[list[str]]:
    """The parts of a format for positive and negative numbers and zero, each as its signs. Raises ValueError for one
    that sets conditions of its own."""
    found: list[list[str]] = [[]]
    for token in _TOKEN.finditer(code):
        kind = token.lastgroup
        if kind == "sign" and token["sign"] == ";":
            found.append([])
        elif kind == "bracket":
            if set(token["bracket"].lower()) <= set("hms"):
                found[-1].append(f"[{token['bracket'][:2].lower()}]")
            elif not _COLOUR.fullmatch(token["bracket"]):
                raise ValueError(code)
        elif kind == "sign":
            found[-1].append(token["sign"])
        elif kind is not None:
            found[-1].append(_Literal(token[kind]))
    return found


def _elapsed(section: list[str], value: Decimal) -> str | None:
    """Time that may be longer than a day, as its first unit counts all of it."""
    if not any(sign[:1] == "[" for sign in section if not isinstance(sign, _Literal)):
        return None
    seconds, out = int((value * 86400).quantize(Decimal(1), ROUND_HALF_UP)), ""
    for sign in _units(section):
        unit = sign.strip("[]")[:1] if not isinstance(sign, _Literal) else ""
        if unit not in _SECONDS or not unit:
            out += sign
        elif sign[0] == "[":
            out += f"{seconds // _SECONDS[unit]:0{len(sign) - 2}d}"
        else:
            out += f"{seconds // _SECONDS[unit] % 60:0{len(sign)}d}"
    return out.strip()


def _units(section: list[str]) -> list[str]:
    """The signs of a time, those of one unit together, without fractions of a second."""
    found: list[str] = []
    for sign in section:
        if isinstance(sign, _Literal) or sign[0] == "[":
            found.append(sign)
        elif sign in "0.":
            continue
        elif found and sign.lower() in _SECONDS and found[-1][:1] == sign.lower():
            found[-1] += sign.lower()
        else:
            found.append(sign.lower())
    return found


def _number(section: list[str], value: Decimal) -> str | None:
    """A number with its percent sign, currency or unit, rounded and grouped as the format says."""
    at = [index for index, sign in enumerate(section) if sign in "0#?.," and not isinstance(sign, _Literal)]
    signs = [sign for sign in section if not isinstance(sign, _Literal)]
    if any(sign.lower() in "ymdhseg@/" for sign in signs) or not at or not set("0#?") & set(signs):
        return None
    if at != list(range(at[0], at[-1] + 1)):
        return None  # digits in groups, as of a telephone
    places = "".join(section[at[0] : at[-1] + 1])
    body = places.rstrip(",")
    whole, _, fraction = body.partition(".")
    for _ in range(signs.count("%")):
        value *= 100
    value = value / 1000 ** (len(places) - len(body))  # each comma at the end stands for thousands
    if len(places) > _MOST_DIGITS or abs(value) >= 10**_MOST_DIGITS:
        return None
    digits = f"{abs(value).quantize(Decimal(1).scaleb(-len(fraction)), ROUND_HALF_UP):f}"
    integer, _, decimals = digits.partition(".")
    integer = integer.zfill(whole.count("0"))
    if "," in whole:
        integer = f"{int(integer):,}"
    if "0" not in whole and not int(integer):
        integer = ""
    while decimals and fraction[len(decimals) - 1] in "#?" and decimals.endswith("0"):
        decimals = decimals[:-1]
    minus = "-" if value < 0 and set(integer + decimals) - {"0"} else ""
    text = integer + (f".{decimals}" if decimals else "")
    return minus + "".join([*section[: at[0]], text, *section[at[-1] + 1 :]]).strip()
