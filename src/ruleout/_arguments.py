"""Arguments that Python and several commands take: the seed of all randomness, and places of files."""

from __future__ import annotations

from argparse import ArgumentTypeError
from operator import index
from pathlib import Path
from typing import Any

from ruleout._errors import IncidentError


def checked_seed(seed: Any) -> int:
    """A seed as an integer.

    Raises:
        IncidentError: it is no whole number, or negative.
    """
    try:
        number = index(seed)
    except TypeError:
        number = -1
    if number < 0:
        raise IncidentError(f"seed is {seed!r}; it must be a whole number, 0 or more")
    return number


def seed_word(word: str) -> int:
    """The seed that a word of the command line spells.

    Raises:
        ArgumentTypeError: it is no whole number, or negative; argparse prints why.
    """
    if not word.strip().isdecimal():
        raise ArgumentTypeError(f"{word!r} is no seed; give a whole number, 0 or more")
    return int(word)


def named(word: str) -> str:
    """A file or folder by its name.

    Raises:
        ArgumentTypeError: it has none; argparse prints so.
    """
    if not word.strip():
        raise ArgumentTypeError(f"{word!r} names no file or folder; give a name, or leave it away")
    return word


def path(word: str) -> Path:
    """As `named`, as a path."""
    return Path(named(word))
