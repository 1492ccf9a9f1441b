"""Ways in which text is damaged between its author and a model, and their inverses."""

from __future__ import annotations

import html
import json
import re
import unicodedata
import urllib.parse
import zlib
from collections.abc import Callable
from typing import NamedTuple

Change = Callable[[str], str]


class Garbling(NamedTuple):
    """One known damage."""

    words: str
    """`lower-cased`: completes the sentence "texts are ..."."""

    damage: Change
    inverse: Change | None
    """None where information is lost."""


def _no_accents(text: str) -> str:
    plain = unicodedata.normalize("NFKD", text)
    return "".join(c for c in plain if not unicodedata.combining(c))


def _ascii(text: str) -> str:
    return text.encode("ascii", "ignore").decode()


def _question_marks(text: str) -> str:
    return text.encode("ascii", "replace").decode()


def _mojibake(text: str) -> str:
    return text.encode("utf-8").decode("cp1252", "replace")


def _unmojibake(text: str) -> str:
    """UTF-8 that was read as Windows-1252 or Latin-1, read again."""
    for codec in ("cp1252", "latin-1"):
        try:
            return text.encode(codec).decode("utf-8")
        except (UnicodeEncodeError, UnicodeDecodeError):
            continue
    return text


def _json_escape(text: str) -> str:
    return json.dumps(text)[1:-1]


def _json_unescape(text: str) -> str:
    try:
        return str(json.loads(f'"{text}"'))
    except ValueError:
        return text


def _pieces(text: str) -> str:
    out: list[str] = []
    for word in text.split():
        middle = len(word) // 2
        out += [word] if len(word) < 4 else [word[:middle], word[middle:]]
    return " ".join(out)


def _marked_pieces(text: str) -> str:
    words = (w if len(w) < 5 else f"{w[:3]} ##{w[3:]}" for w in text.split())
    return " ".join(words)


def _half(word: str) -> bool:
    return zlib.crc32(word.lower().encode()) % 2 == 0


def _unknown(text: str) -> str:
    return " ".join("unk" if len(w) > 2 and _half(w) else w for w in text.split())


def _dropped(text: str) -> str:
    return " ".join(w for w in text.split() if not _half(w))


def _joined(text: str) -> str:
    words = text.split()
    return " ".join(a + b for a, b in zip(words[::2], [*words[1::2], ""], strict=False))


def _short_words_gone(text: str) -> str:
    return " ".join(w for w in text.split() if len(w) > 3)


GARBLINGS: dict[str, Garbling] = {
    "lower": Garbling("lower-cased", str.lower, None),
    "upper": Garbling("upper-cased", str.upper, None),
    "no_punctuation": Garbling(
        "stripped of punctuation", lambda t: re.sub(r"[^\w\s]|_", "", t), None
    ),
    "no_digits": Garbling("stripped of digits", lambda t: re.sub(r"\d", "", t), None),
    "masked_digits": Garbling("masked in their digits", lambda t: re.sub(r"\d", "#", t), None),
    "no_accents": Garbling("stripped of accents", _no_accents, None),
    "ascii": Garbling("stripped of all but ASCII", _ascii, None),
    "question_marks": Garbling("read with question marks for letters", _question_marks, None),
    "mojibake": Garbling("read in the wrong encoding (mojibake)", _mojibake, _unmojibake),
    "html": Garbling("HTML-escaped", lambda t: html.escape(t, quote=True), html.unescape),
    "json": Garbling("escaped twice (backslashes)", _json_escape, _json_unescape),
    "percent": Garbling("percent-encoded", urllib.parse.quote, urllib.parse.unquote),
    "plus": Garbling("form-encoded", urllib.parse.quote_plus, urllib.parse.unquote_plus),
    "no_spaces": Garbling("without spaces", lambda t: re.sub(r"\s+", "", t), None),
    "underscores": Garbling(
        "joined by underscores", lambda t: t.replace(" ", "_"), lambda t: t.replace("_", " ")
    ),
    "spaced": Garbling(
        "spaced around punctuation",
        lambda t: re.sub(r"\s*([^\w\s])\s*", r" \1 ", t).strip(),
        lambda t: re.sub(r"\s+([.,!?;:)])", r"\1", t),
    ),
    "letters": Garbling(
        "split into letters",
        lambda t: " ".join(t.replace(" ", "_")),
        lambda t: t.replace(" ", "").replace("_", " "),
    ),
    "pieces": Garbling("split within words", _pieces, None),
    "marked_pieces": Garbling(
        "split into marked pieces", _marked_pieces, lambda t: t.replace(" ##", "")
    ),
    "unknown": Garbling("full of an unknown-word token", _unknown, None),
    "dropped": Garbling("missing many of their words", _dropped, None),
    "joined": Garbling("run together between words", _joined, None),
    "long_words": Garbling("stripped of short words", _short_words_gone, None),
    "reversed": Garbling("reversed", lambda t: t[::-1], lambda t: t[::-1]),
}
"""Known damages by name."""
