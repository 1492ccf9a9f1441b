"""What a log of a language model tells beside its inputs: which template, model and policy answered, and how it ended.

Such columns are recorded by whoever serves. They are no inputs of the world: a template that was never seen before
is a release, and a refusal is an outcome.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final, Literal

from ruleout.incident._facts import name_words

Role = Literal[
    "template", "model", "policy", "tool", "index", "runtime",
    "refused", "tool_failed", "finish", "context_size", "answer_size", "age", "likeness", "retrieved", "unknown",
    "said",
]  # fmt: skip

PARTS: Final[tuple[Role, ...]] = ("template", "model", "policy", "tool", "index", "runtime")
"""Roles that name which edition of a part answered."""

_ID = "hash sha id version ver rev revision name tag digest variant build snapshot date release"

_SPELT: Final[tuple[tuple[Role, tuple[str, ...], str], ...]] = (
    ("unknown", ("unk unknown oov", "token tokens rate"), ""),
    ("context_size", ("prompt input context in", "token tokens"), "template"),
    ("answer_size", ("completion output generated response answer out", "token tokens"), ""),
    (
        "tool_failed",
        (
            "tool tools function json parse parser parsing",
            "error errors failed failure invalid status valid ok",
        ),
        "",
    ),
    ("tool", ("tool tools function", f"schema {_ID}"), "call calls count used name"),
    ("finish", ("finish stop", "reason"), ""),
    (
        "policy",
        ("policy guardrail guardrails guard moderation safety filter ruleset", _ID),
        "tenant user customer",
    ),
    (
        "refused",
        ("refused refusal refusals guardrail guardrails moderation blocked safety",),
        f"policy {_ID}",
    ),
    (
        "template",
        ("prompt template instructions chat", f"template {_ID}"),
        "token tokens length chars count email",
    ),
    ("model", ("fingerprint snapshot",), "device browser user card index"),
    ("model", ("model llm system provider", "fp alias"), ""),
    ("model", ("provider upstream llm", f"model {_ID}"), ""),
    ("runtime", ("engine runtime kernel", _ID), ""),
    ("index", ("index corpus kb", _ID), "page tab"),
    (
        "age",
        (
            "doc docs document documents index retrieved chunk chunks passage corpus kb",
            "age staleness stale freshness",
        ),
        "",
    ),
    (
        "likeness",
        (
            "retrieval retrieved doc docs top1 top chunk passage neighbour neighbor nn embedding",
            "similarity sim cosine score relevance distance",
        ),
        "rank",
    ),
    ("retrieved", ("retrieved docs chunks passages hits", "n num count number"), ""),
    ("said", ("latency ttft ttfb",), ""),
    ("said", ("retrieved", "ids id urls"), ""),
    ("said", ("avg mean sum self answer", "logprob logprobs conf confidence"), ""),
    ("said", ("tool tools function", "calls used"), ""),
)
"""A name holds a word of each list and none of the last; the first role that fits counts."""

_TELLING: Final[frozenset[Role]] = frozenset(
    {
        "template", "model", "policy", "refused", "finish", "context_size", "answer_size", "tool_failed", "likeness",
        "age", "unknown",
    }
)  # fmt: skip
_SHARP = frozenset(
    [
        "prompt",
        "completion",
        "fingerprint",
        "llm",
        "finish",
        "refused",
        "refusal",
        "guardrail",
        "guardrails",
        "retrieval",
        "retrieved",
    ]
)

_SHORT: Final[Mapping[str, Role]] = {
    "template": "template",
    "prompt": "template",
    "model": "model",
    "model version": "model",
    "model id": "model",
    "model name": "model",
    "engine": "runtime",
    "runtime": "runtime",
}
"""Names that tell nothing by themselves, and something in a log that others show to be a language model's."""

LOGGED: Final[frozenset[Role]] = frozenset(
    {
        *PARTS,
        "refused",
        "tool_failed",
        "finish",
        "answer_size",
        "age",
        "likeness",
        "retrieved",
        "said",
    }
)
"""Roles that are no inputs: what served, and what came of it."""


def generation_columns(names: Sequence[str]) -> Mapping[Role, tuple[str, ...]]:
    """Roles of columns in a log of a language model, by the words of their names.

    Args:
        names: columns that are neither key, time, answer nor label.

    Returns:
        Role -> columns; empty where fewer than two of them tell of a language model.
    """
    found: dict[Role, list[str]] = {}
    sharp = 0
    for name in names:
        parts = set(name_words(name))
        role = _role(parts)
        if role is not None:
            found.setdefault(role, []).append(name)
            sharp += bool(parts & _SHARP)
    if not sharp or sum(len(v) for k, v in found.items() if k in _TELLING) < 2:
        return {}
    for name in names:
        role = _SHORT.get(" ".join(name_words(name)))
        if role is not None and name not in found.get(role, ()):
            found.setdefault(role, []).append(name)
    return {role: tuple(columns) for role, columns in found.items()}


def _role(parts: set[str]) -> Role | None:
    for role, lists, never in _SPELT:
        wanted = [set(some.split()) for some in lists]
        if not parts & set(never.split()) and all(parts & some for some in wanted):
            # One word cannot be both: `template` alone says nothing of an edition.
            if len(wanted) == 2 and len(parts & (wanted[0] | wanted[1])) < 2:
                continue
            return role
    return None
