"""What some metrics say outright: names of mechanisms, with the failure modes that they speak for.

A departure of latency or of failures says who suffers, and next to nothing of why. A queue, a lock, a
quota, a lookup of names or a device that is counted by itself says it in its own name. The mechanisms are in
`clues-models.toml`, `clues.toml` and `clues-calls.toml`, beside this file.
"""

from __future__ import annotations

import tomllib
from collections.abc import Collection, Mapping
from functools import lru_cache
from importlib import resources
from typing import NamedTuple

_FILES = ("clues-models.toml", "clues.toml", "clues-calls.toml")


class Clue(NamedTuple):
    """A mechanism that a metric's words name; `clues.toml` says what each field means."""

    name: str
    kind: str | None
    sign: int | None
    points: float | None
    modes: Mapping[str, float]
    down: Mapping[str, float]
    primary: bool
    words: tuple[frozenset[str], ...]
    lacks: frozenset[str]


@lru_cache(maxsize=1)
def clues() -> tuple[Clue, ...]:
    """All mechanisms, the ones that come first going before."""
    parts = [
        tomllib.loads((resources.files(__package__) / name).read_text(encoding="utf-8"))
        for name in _FILES
    ]
    lists = {
        name: frozenset(words.split())
        for part in parts
        for name, words in part.get("lists", {}).items()
    }

    def spelt(words: str) -> frozenset[str]:
        out: set[str] = set()
        for word in words.split():
            out |= lists[word[1:]] if word.startswith("@") else {word}
        return frozenset(out)

    return tuple(
        Clue(
            row["name"],
            row.get("kind"),
            row.get("sign"),
            row.get("points"),
            row.get("modes", {}),
            row.get("down", row.get("modes", {})),
            row.get("primary", False),
            tuple(spelt(words) for words in row["words"]),
            spelt(row.get("lacks", "")),
        )
        for part in parts
        for row in part["clue"]
    )


def clue_in(words: Collection[str]) -> Clue | None:
    """The mechanism that a metric's words name; None where they name none."""
    found = set(words)
    for clue in clues():
        if not found & clue.lacks and all(found & some for some in clue.words):
            return clue
    return None
