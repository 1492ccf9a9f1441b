"""The tokeniser of the demo's text model, in two releases: the second looks words up in another spelling."""

from __future__ import annotations

import json
import re
import string
from collections.abc import Mapping, Sequence
from pathlib import Path

_PIECES = re.compile(r"[a-z0-9']+|[^\sa-z0-9']")
_UNKNOWN, _START = "[unknown]", "[start]"


def vocabulary(texts: Sequence[str]) -> dict[str, int]:
    """Numbers of the special tokens, of single characters, and of all words of the texts."""
    words = {word for text in texts for word in _PIECES.findall(text.lower())}
    letters = set(string.ascii_lowercase + string.digits + string.punctuation)
    ordered = [_UNKNOWN, _START, *sorted(letters), *sorted(words - letters)]
    return {word: code for code, word in enumerate(ordered)}


class Tokeniser:
    """Words to their numbers; a word that is not in the vocabulary becomes its characters.

    Release 2 marks the beginning of each word with a sign, as newer tokenisers do. A vocabulary
    of release 1 has no such words, so that all of them fall apart.
    """

    def __init__(self, words: Mapping[str, int], release: int = 1) -> None:
        self.words = words
        self._mark = "▁" if release >= 2 else ""

    def __call__(self, text: str) -> list[int]:
        """Numbers of the tokens of a text."""
        found = [self.words[_START]]
        for word in _PIECES.findall(text.lower()):
            whole = self.words.get(self._mark + word)
            if whole is None:
                found += [self.words.get(letter, self.words[_UNKNOWN]) for letter in word]
            else:
                found.append(whole)
        return found

    def save(self, path: Path) -> None:
        """Write the vocabulary as JSON."""
        path.write_text(json.dumps(dict(self.words)), encoding="utf-8")
