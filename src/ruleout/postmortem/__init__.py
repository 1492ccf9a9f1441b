"""What a diagnosis looks like: JSON for programs; terminal, HTML, Markdown and notebook for people."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ruleout.postmortem._charts import KINDS
    from ruleout.postmortem._codec import decode, encode, schema, to_json
    from ruleout.postmortem._html import html
    from ruleout.postmortem._markdown import markdown
    from ruleout.postmortem._notebook import mimebundle, notebook
    from ruleout.postmortem._terminal import terminal
    from ruleout.postmortem.draw import png, svg

_HOMES = {
    "KINDS": "_charts",
    "decode": "_codec",
    "encode": "_codec",
    "html": "_html",
    "markdown": "_markdown",
    "mimebundle": "_notebook",
    "notebook": "_notebook",
    "png": "draw",
    "schema": "_codec",
    "svg": "draw",
    "terminal": "_terminal",
    "to_json": "_codec",
}

__all__ = [
    "KINDS",
    "decode",
    "encode",
    "html",
    "markdown",
    "mimebundle",
    "notebook",
    "png",
    "schema",
    "svg",
    "terminal",
    "to_json",
]


def __getattr__(name: str) -> Any:
    """Import a form on first use: who wants JSON pays for no charts."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
    globals()[name] = value
    return value
