"""The seed of all randomness, as Python and the command line give it."""

from __future__ import annotations

from argparse import ArgumentTypeError
from operator import index
from typing import Any

from ruleout._errors import IncidentError


def checked(seed: Any) -> int:
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


def from_word(word: str) -> int:
    """The seed that a word of the command line spells.

    Raises:
        ArgumentTypeError: it is no whole number, or negative; argparse prints why.
    """
    if not word.strip().isdecimal():
        raise ArgumentTypeError(f"{word!r} is no seed; give a whole number, 0 or more")
    return int(word)
