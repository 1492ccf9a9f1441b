"""Every error that ruleout raises on purpose.

RuleoutError
├── IncidentError      the user's incident is wrong; names file, key, rule and the way out
├── SourceError        a source of evidence could not be read
│   ├── Unreachable    ... because nothing answers there
│   └── Untrusted      ... because reading it would execute code
├── ModelError         a model loaded but cannot score these inputs
└── MissingExtra       an optional dependency is not installed; names the install line
"""

from __future__ import annotations

import importlib
from types import ModuleType


class RuleoutError(Exception):
    """Everything this package raises on purpose."""


class IncidentError(RuleoutError):
    """The incident as written breaks a rule; the message names file, key and mend."""


class SourceError(RuleoutError):
    """A source of evidence could not be read."""


class Unreachable(SourceError):  # noqa: N818 - the message is the name
    """A source could not be read because nothing answers at its address."""


class Untrusted(SourceError):  # noqa: N818
    """A source was refused because loading it would execute code."""


class ModelError(RuleoutError):
    """A model cannot score the rows it was given."""


class MissingExtra(RuleoutError):  # noqa: N818
    """An optional dependency is not installed."""


def need(module: str, *, extra: str) -> ModuleType:
    """Import `module`, or say which extra brings it.

    Raises:
        MissingExtra: when the distribution is absent. A module that is installed but broken
            inside raises its own error.
    """
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        if error.name is None or error.name.partition(".")[0] != module.partition(".")[0]:
            raise
        raise MissingExtra(
            f"{module.partition('.')[0]} is not installed; run: pip install 'ruleout[{extra}]'"
        ) from error
