"""What kind of words must stand in an answer to a question: a number, a date, a name."""

import regex

_NUMBER = regex.compile(
    r"\bhow (?:many|much|old|long|far|large|big|high|tall|deep|often)\b|\bpercent|\bwhat (?:age|number)\b"
    r"|কত|কয়|শতাংশ",
    regex.IGNORECASE,
)
_DATE = regex.compile(r"\b(?:when|year|date|decade|century)\b|কবে|কখন|সালে|তারিখ", regex.IGNORECASE)
_NAME = regex.compile(r"\b(?:who|whom|whose|where|country|city|place|location)\b", regex.IGNORECASE)
"""English alone: where a script has no capitals, a name looks like any other word."""

_FIGURE = regex.compile(
    r"\p{N}[\p{N}.,:]*|\b(?:one|two|three|four|five|six|seven|eight|nine|ten|eleven|twelve|twenty|thirty|forty|fifty"
    r"|hundred|thousand|million|billion|half|dozen|third|twice|once|several)\b"
    r"|(?<!\p{L})(?:এক|দুই|দুটি|তিন|চার|পাঁচ|ছয়|সাত|আট|নয়|দশ|বিশ|শত|হাজার|লক্ষ|লাখ|কোটি)",
    regex.IGNORECASE,
)
_TIME = regex.compile(
    r"(?<!\p{N})(?:1[0-9]|20|২০|১[০-৯])[0-9০-৯]{2}(?!\p{N})|\b(?:january|february|march|april|june|july|august"
    r"|september|october|november|december)\b|(?:জানুয়ারি|ফেব্রুয়ারি|মার্চ|এপ্রিল|জুন|জুলাই|আগস্ট|সেপ্টেম্বর|অক্টোবর|নভেম্বর|ডিসেম্বর)",
    regex.IGNORECASE,
)
_CAPITALISED = regex.compile(r"(?<=\S\s+[\"'“‘(]?)\p{Lu}[\p{L}\p{M}]+")


def fit(question: str, sentence: str) -> int:
    """1 where the sentence has what the question asks for and the question itself has not, -1 where it lacks it, 0
    where the question asks for nothing in particular."""
    asked = question.lower()

    def new(pattern: "regex.Pattern[str]") -> bool:
        return any(match.group().lower() not in asked for match in pattern.finditer(sentence))

    found: list[int] = []
    if _NUMBER.search(question):
        found.append(1 if new(_FIGURE) else -1)
    if _DATE.search(question):
        found.append(1 if new(_TIME) else 0 if new(_FIGURE) else -1)
    if _NAME.search(question):
        found.append(1 if new(_CAPITALISED) else -1)
    return max(-1, min(1, sum(found)))
