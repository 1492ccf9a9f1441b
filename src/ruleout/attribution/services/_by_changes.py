"""What changes of an entity tell of its mode, where its telemetry leaves two that look alike.

Code that runs on another runtime and code that does other work both take longer by themselves; longer prompts come
from users and from a template. Which of the two it was, the change says, and not its having been made at that time.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from ruleout.attribution.services._records import Signal
from ruleout.sources._changes import Change

_RUNTIME = re.compile(
    r"onnx ?runtime|\b(py)?torch\b|tensorflow|tensorrt|\bcuda\b|cudnn|openvino|\btriton\b|\bvllm\b|\bjax\b|openblas"
    r"|\bmkl\b|quanti[sz]|graph_optimi[sz]ation|execution.?provider|enforce.?eager|\bkernels?\b|fusion"
    r"|(inference|serving) (engine|runtime)|engine[ :]v?\d",
    re.IGNORECASE,
)
"""What models run on, in names of packages, flags and descriptions."""

_OF_TIME = ("slow_dependency", "cpu_saturation")
_TAKES = 0.75
"""Part of time of one's own that a change of the runtime beneath takes."""

_CONTRACT = re.compile(
    r"\.(proto|avsc|avdl|thrift|graphql|gql|xsd|fbs|capnp)\b|openapi|swagger|\.schema\.json|json.?schema",
    re.IGNORECASE,
)
"""Files that say what one service sends another."""

_FIELD = re.compile(r"[A-Za-z_]\w{3,}")
_TYPES = frozenset(
    [
        "array",
        "bool",
        "boolean",
        "bytes",
        "double",
        "enum",
        "field",
        "float",
        "int32",
        "int64",
        "integer",
        "message",
        "name",
        "null",
        "number",
        "object",
        "optional",
        "repeated",
        "required",
        "string",
        "struct",
        "type",
        "uint32",
        "uint64",
        "union",
    ]
)
"""Words of contracts that are no field's name."""

_MISSED = 0.3
"""Part of the lines that warn or fail that must miss a field which a change of a contract took away."""

_BEFORE, _AFTER = 6 * 3600.0, 1800.0
"""Seconds around the beginning of the incident within which such a change was made; a beginning is told late at times."""


def by_changes(
    shares: Mapping[str, float],
    entity: str,
    changes: Sequence[Change],
    signals: Sequence[Signal],
    start: float,
) -> dict[str, float]:
    """The modes of an entity with their shares, as its own changes shortly before the incident tell them apart.

    Args:
        shares: as `mode_shares` returns them.
        entity: whose modes they are.
        changes: all that are known.
        signals: of all entities.
        start: of the incident, in seconds.
    """
    out = dict(shares)
    near = [one for one in changes if start - _BEFORE <= one.at <= start + _AFTER]
    own = any(one.name == "added_time" and one.entity == entity for one in signals)
    mine = [one for one in near if one.entity == entity]
    if own and any(_RUNTIME.search(f"{one.description} {one.diff or ''}") for one in mine):
        for mode in _OF_TIME:
            moved = _TAKES * out.get(mode, 0.0)
            out["slow_runtime"] = out.get("slow_runtime", 0.0) + moved
            out[mode] = out.get(mode, 0.0) - moved
    if any(one.kind == "prompt" for one in near) and out.get("prompt_change", 0.0) > 0:
        # Somebody has written another template: longer prompts are likelier its than their users'.
        moved = min(out.get("traffic_surge", 0.0), 2 * out["prompt_change"])
        out["prompt_change"] += moved
        out["traffic_surge"] = out.get("traffic_surge", 0.0) - moved
    return {mode: share for mode, share in out.items() if share > 0}


def breaks_contract(change: Change, lines: Sequence[str]) -> bool:
    """Whether a change took a field out of what services send each other, and the lines that fail miss that field.

    Args:
        change: with its diff, else nothing is told.
        lines: what was logged in the incident that warns or fails.
    """
    diff = change.diff or ""
    if not lines or not _CONTRACT.search(diff):
        return False
    gone, kept = (
        {
            name
            for line in diff.splitlines()
            if line.startswith(sign) and not line.startswith(3 * sign)
            for name in _FIELD.findall(line)
        }
        for sign in ("-", "+")
    )
    missed = [re.compile(rf"\b{re.escape(name)}\b") for name in sorted(gone - kept - _TYPES)]
    return any(
        sum(bool(name.search(line)) for line in lines) >= _MISSED * len(lines) for name in missed
    )
