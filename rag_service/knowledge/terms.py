"""The terms of a text, as the lexical index knows them: the same for what is stored and for what is asked.

Who changes what comes out raises `ANALYSIS`: indexes are then built anew.
"""

import re
import sys
import threading
import unicodedata
from collections.abc import Callable, Sequence
from functools import lru_cache, partial

import regex
import snowballstemmer

ANALYSIS = 1
"""Number of this way to find terms."""

LONGEST = 64
"""Characters of a term. What is longer is no word that anybody asks for: it is cut."""

_SAME = {
    **{
        code: str(unicodedata.decimal(chr(code)))
        for code in range(128, sys.maxunicode + 1)
        if unicodedata.category(chr(code)) == "Nd"
    },
    # Characters that say how letters are drawn: joiners, soft hyphens, the Arabic stroke that makes a word longer.
    **dict.fromkeys((0x00AD, 0x0640, 0x200C, 0x200D, 0x2060, 0xFEFF)),
    # The Persian forms of two Arabic letters: keyboards mix them.
    ord("ی"): "ي",
    ord("ک"): "ك",
}
_JOINED_TA = "ত্\u200d"
"""What Bangla's ৎ was written as before it had a character of its own."""

_UNSPACED = r"\p{Han}\p{Hiragana}\p{Katakana}ー\p{Thai}\p{Lao}\p{Khmer}\p{Myanmar}"
_LETTER = r"[\p{L}\p{M}\p{N}]"
_SPACED = rf"[{_LETTER}--[{_UNSPACED}]]"
_WORD = regex.compile(rf"(?P<unspaced>[{_LETTER}&&[{_UNSPACED}]]+)|{_SPACED}+", regex.VERSION1)
# The same, in a tenth and in a third of the time, of a text that holds nothing else.
_ASCII_WORD = re.compile("[a-z0-9]+")
_HAS_UNSPACED = regex.compile(rf"[{_UNSPACED}]")
_SPACED_WORD = regex.compile(rf"{_LETTER}+")
_JOINED = regex.compile(
    rf"(?<!{_SPACED}){_SPACED}+(?:[-_./:,@]{_SPACED}+|\({_SPACED}+\))+|(?<!{_SPACED})\p{{L}}(?:\+\+|\#)",
    regex.VERSION1,
)
_TELLING = regex.compile(r"[\p{N}_@+#]|\.\p{L}{2}")
"""What makes words that hang together one name: `err-4012`, `max_size`, `app.py`, `c++`; not `and/or`, `e.g`."""
_GROUPED = regex.compile(r"\d{1,3}(?:,\d{2,3})*,\d{3}")
_HAN = regex.compile(r"\p{Han}")
_MARK = regex.compile(r"\p{M}")
_VIETNAMESE = regex.compile("[aeiouy]\u0323|\u0309|\u031b")
"""Dot, hook and horn: where they are, accents tell words apart."""
_SCRIPT = regex.compile(
    r"(?P<latin>\p{Latin})|(?P<cyrillic>\p{Cyrillic})|(?P<arabic>\p{Arabic})|(?P<greek>\p{Greek})"
    r"|(?P<devanagari>\p{Devanagari})|(?P<bengali>\p{Bengali})|(?P<tamil>\p{Tamil})|(?P<armenian>\p{Armenian})"
)

_NONE = "none"
_USUAL = {
    "latin": "english",
    "cyrillic": "russian",
    "arabic": "arabic",
    "greek": "greek",
    "devanagari": "hindi",
    "bengali": "bengali",
    "tamil": "tamil",
    "armenian": "armenian",
}
"""The stemmer of each script, where no language is said, or one of another script."""
_STEMMERS = {
    "latin": {
        "ca": "catalan", "cs": "czech", "da": "danish", "de": "german", "en": "english", "eo": "esperanto",
        "es": "spanish", "et": "estonian", "eu": "basque", "fi": "finnish", "fr": "french", "ga": "irish",
        "hu": "hungarian", "id": "indonesian", "it": "italian", "lt": "lithuanian", "nb": "norwegian",
        "nl": "dutch", "nn": "norwegian", "no": "norwegian", "pl": "polish", "pt": "portuguese",
        "ro": "romanian", "sr": "serbian", "sv": "swedish", "tr": "turkish", "vi": _NONE,
    },
    "cyrillic": {"sr": "serbian"},
    "arabic": {"fa": "persian", "ur": _NONE},
    "devanagari": {"ne": "nepali"},
}  # fmt: skip


def terms(text: str, language: str | None = None) -> list[str]:
    """The terms of a text, in no particular order, as often as they occur; none holds white space.

    Words are lower-cased, without accents on Latin letters, and stemmed by the rules of their script's
    language, where `language` (BCP 47) says which; scripts without spaces give pairs of characters. Names and
    numbers are there whole as well as in parts: `ERR-4012` gives `err-4012`, `err` and `4012`.
    """
    text = unicodedata.normalize("NFKC", text)
    if language_of(language) == "tr":
        text = text.replace("İ", "i").replace("I", "ı")
    text = text.casefold()
    if not text.isascii():
        text = text.replace(_JOINED_TA, "ৎ").translate(_SAME)
    term = _stemming(language_of(language))
    found = _whole_names(text)
    if text.isascii():
        return found + [term(word[:LONGEST]) for word in _ASCII_WORD.findall(text)]
    if not _HAS_UNSPACED.search(text):
        return found + [term(word[:LONGEST]) for word in _SPACED_WORD.findall(text)]
    for match in _WORD.finditer(text):
        word = match.group()
        if match["unspaced"]:
            found += _pairs(word)
        else:
            found.append(term(word[:LONGEST]))
    return found


@lru_cache(maxsize=64)
def terms_in(language: str | None) -> Callable[[str], list[str]]:
    """`terms` of texts in this language; the same function each time."""
    return partial(terms, language=language)


def language_of(tag: str | None) -> str:
    """The language that a BCP 47 tag names, without region and script; empty where there is none."""
    return (tag or "").replace("_", "-").partition("-")[0].lower()


def analysis_of(language: str | None) -> str:
    """A short name for what `terms` does with this language: indexes under the same name understand each other."""
    spoken = language_of(language)
    named = any(spoken in languages for languages in _STEMMERS.values())
    return f"{ANALYSIS}-{spoken}" if named else f"{ANALYSIS}"


def _whole_names(text: str) -> list[str]:
    found: list[str] = []
    for piece in text.split():
        if piece.isalnum() or not _TELLING.search(piece):
            continue  # as nearly all are
        for match in _JOINED.finditer(piece):
            name = match.group()
            if _TELLING.search(name):
                found.append((name.replace(",", "") if _GROUPED.fullmatch(name) else name)[:LONGEST])
    return found


def _pairs(word: str) -> list[str]:
    """Pairs of characters; Chinese ones alone as well, since many are words."""
    alone = _HAN.findall(word) if len(word) > 1 else []
    return alone + [word[at : at + 2] for at in range(max(1, len(word) - 1))]


@lru_cache(maxsize=64)
def _stemming(language: str) -> Callable[[str], str]:
    """What makes a word of a text in this language a term; it remembers what it made of the last words."""
    stemmers = {script: _STEMMERS.get(script, {}).get(language, usual) for script, usual in _USUAL.items()}

    @lru_cache(maxsize=1 << 16)
    def term(word: str) -> str:
        found = _SCRIPT.match(word)
        if found is None or found.lastgroup is None:
            return word
        stemmer = stemmers[found.lastgroup]
        stem = _stem(word, stemmer)
        return _without_accents(stem) if found.lastgroup == "latin" and stemmer != _NONE else stem

    return term


def _without_accents(word: str) -> str:
    if word.isascii():
        return word
    apart = unicodedata.normalize("NFD", word)
    return word if _VIETNAMESE.search(apart) else _MARK.sub("", apart) or word


_lock = threading.Lock()  # a Snowball stemmer works on one word at a time


def _stem(word: str, stemmer: str) -> str:
    if stemmer == _NONE:
        return word
    if stemmer == "bengali":
        return _bangla_stem(word)
    with _lock:
        return str(_snowball(stemmer).stemWord(word)) or word


@lru_cache
def _snowball(name: str) -> snowballstemmer.stemmer:
    return snowballstemmer.stemmer(name)


def _longest_first(*endings: str) -> list[str]:
    return sorted((unicodedata.normalize("NFKC", ending) for ending in endings), key=len, reverse=True)


_BANGLA_CASES = _longest_first(
    *("র", "ের", "য়ের", "কে", "তে", "েতে", "ে", "য়"), *("রা", "েরা", "দের", "েদের", "দেরকে", "েদেরকে")
)
_BANGLA_ARTICLES = _longest_first("টি", "টা", "খানা", "খানি", "গুলো", "গুলি", "গুলা", "সমূহ")


def _bangla_stem(word: str) -> str:
    """A Bangla noun without the ending of its case, then without article or plural."""
    return _without_ending(_without_ending(word, _BANGLA_CASES), _BANGLA_ARTICLES)


def _without_ending(word: str, endings: Sequence[str], *, least: int = 3) -> str:
    """The word without the longest of the endings, if at least so many characters remain."""
    for ending in endings:
        if word.endswith(ending) and len(word) - len(ending) >= least:
            return word[: -len(ending)]
    return word
