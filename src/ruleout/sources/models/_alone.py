"""Importing a library without the libraries that it uses where they happen to be installed."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec
from threading import get_ident
from types import ModuleType

from ruleout._errors import need


def alone(module: str, *, extra: str, without: frozenset[str]) -> ModuleType:
    """Import `module` as it is where none of `without` is installed, as a copy of our own.

    Wrappers that nobody here calls may pull in most of a second's work. Who has imported the module already
    shares it; who imports it afterwards gets it whole, because the copy leaves no trace in `sys.modules`.

    Raises:
        MissingExtra: when the distribution is absent.
    """
    if module in sys.modules or without <= sys.modules.keys():
        return need(module, extra=extra)
    before = set(sys.modules)
    with _absent(without - before):
        copy = need(module, extra=extra)
    for name in set(sys.modules) - before:
        if name.partition(".")[0] == module:
            del sys.modules[name]
    return copy


class _Absent(MetaPathFinder):
    """Finds no module of some names, for the thread that made it."""

    def __init__(self, names: frozenset[str]) -> None:
        self._names = names
        self._thread = get_ident()

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Raise for an absent module, and leave the others to the next finder."""
        del path, target
        if fullname.partition(".")[0] in self._names and get_ident() == self._thread:
            raise ModuleNotFoundError(f"{fullname} is left out here", name=fullname)
        return None


@contextmanager
def _absent(names: frozenset[str]) -> Iterator[None]:
    finder = _Absent(names)
    sys.meta_path.insert(0, finder)
    try:
        yield
    finally:
        sys.meta_path.remove(finder)
