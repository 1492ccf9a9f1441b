"""Which change did it, or none: timing, place, what the diff touches, and words it shares with the errors."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from ruleout.attribution.services._diffs import Risk, read_diff
from ruleout.sources._changes import Change

_LAG = 420.0
"""Typical seconds from a change that is live to the symptom that it causes."""


class Suspect(NamedTuple):
    """A change with its other events (a commit and its deploys), and what speaks for it."""

    change: Change
    """The event at which it went live."""

    ids: tuple[str, ...]
    timing: float
    """Nats: how well its time fits the onset."""

    alignment: float
    """Probability that a change this close is no coincidence, by the rate of changes."""

    place: float
    """Nats: whether it touches what suffers."""

    risk: Risk
    shared: tuple[str, ...]
    """Words that its diff shares with the errors and no other change has."""

    score: float


class Scene(NamedTuple):
    """What is known of the incident when changes are judged."""

    onsets: tuple[float, ...]
    """Instants at which the symptom or its forerunners began, the symptom's own first."""

    gradual: bool
    """Whether the symptom crept, so that its cause may lie far back."""

    culprits: Mapping[str, float]
    """Entities with the probability of being the cause."""

    path: frozenset[str]
    """Entities that take part in the incident."""

    words: Counter[str]
    """Words of the errors, the symptom and the title."""


def suspects(changes: Sequence[Change], scene: Scene) -> list[Suspect]:
    """Every change that was live before the symptom had run its course, likeliest first."""
    groups = _grouped(changes)
    ships = any(change.kind in {"deploy", "scale"} for change in changes)
    rarity: Counter[str] = Counter()
    risks = [_risk(group) for group in groups]
    spoken = [_words_of(group, risk) for group, risk in zip(groups, risks, strict=True)]
    for one in spoken:
        rarity.update(one)
    rate = _rate(changes)
    found = [
        _judge(group, scene, (risk, _shared(own, scene, rarity), rarity), rate, ships=ships)
        for group, risk, own in zip(groups, risks, spoken, strict=True)
    ]
    return sorted(found, key=lambda one: (-one.score, one.change.id))


def _grouped(changes: Sequence[Change]) -> list[list[Change]]:
    """Events of one reference belong together; events without one stand alone."""
    groups: dict[str, list[Change]] = {}
    for change in changes:
        groups.setdefault(change.ref or change.id, []).append(change)
    return list(groups.values())


def _rate(changes: Sequence[Change]) -> float:
    """Changes a second."""
    if len(changes) < 2:
        return 1 / 86400
    times = [change.at for change in changes]
    return len(changes) / max(max(times) - min(times), 3600.0)


def _judge(
    group: list[Change],
    scene: Scene,
    reading: tuple[Risk, list[str], Counter[str]],
    rate: float,
    *,
    ships: bool,
) -> Suspect:
    risk, shared, rarity = reading
    live = [change for change in group if change.kind != "commit"]
    event = min(live or group, key=lambda change: change.at)
    shipped = bool(live) or not ships
    timing = _timing(event.at, scene)
    alignment = float(1 / (1 + rate * _LAG * np.exp(-min(timing, 0.0))))
    place = _place(group, scene)
    echo = min(sum(1 / rarity[word] for word in shared), 3.0) * 0.6
    score = timing + place + 1.3 * risk.score + echo - (0.0 if shipped else 2.0)
    if event.kind == "flag" and not risk.touched:
        score -= 0.5
    ids = tuple(change.id for change in group)
    return Suspect(event, ids, timing, alignment, place, risk, tuple(shared), score)


def _timing(at: float, scene: Scene) -> float:
    """Log-likelihood of the lag, relative to no lag; strongly negative for what came too late."""
    best = -8.0
    for onset in scene.onsets:
        lag = onset - at
        if lag < -90:
            value = -6.0
        elif scene.gradual:
            value = -0.35 * np.log1p(max(lag, 0) / _LAG)
        else:
            value = -1.3 * np.log1p(max(lag, 0) / _LAG)
        best = max(best, float(value))
    return best


def _place(group: list[Change], scene: Scene) -> float:
    """Nats for touching a culprit or at least the path, by the names of entities and files."""
    best = -1.2
    for change in group:
        for entity, probability in scene.culprits.items():
            if _touches(change, entity):
                best = max(best, 0.4 + 1.6 * probability)
        for entity in scene.path:
            if _touches(change, entity):
                best = max(best, 0.2)
    return best


def _touches(change: Change, entity: str) -> bool:
    """Whether the change names the entity, or its path holds the entity's distinctive word."""
    if change.entity == entity:
        return True
    stem = re.sub(r"(service|svc|server|api|[-_\d])+$", "", entity.lower())
    parts = re.split(r"[^a-z0-9]+", change.entity.lower())
    return len(stem) >= 4 and any(
        len(p) >= 4 and (stem.startswith(p) or p.startswith(stem)) for p in parts
    )


def _risk(group: list[Change]) -> Risk:
    diff = "\n".join(change.diff or "" for change in group)
    paths = [change.entity for change in group if change.kind == "commit"]
    return read_diff(diff, " ".join(paths) or group[0].entity)


def _words_of(group: list[Change], risk: Risk) -> set[str]:
    # Names of files and services speak for the place, which is weighed on its own.
    return text_words(risk.touched) - text_words(" ".join(change.entity for change in group))


def _shared(own: set[str], scene: Scene, rarity: Counter[str]) -> list[str]:
    """Words of the incident that this change touches and few others do, rarest first."""
    few = [word for word in own & set(scene.words) if rarity[word] <= 3]
    return sorted(few, key=lambda word: (rarity[word], -scene.words[word], word))[:6]


_STOP = frozenset(
    [
        "error",
        "errors",
        "return",
        "failed",
        "failure",
        "request",
        "requests",
        "response",
        "context",
        "value",
        "values",
        "string",
        "none",
        "null",
        "true",
        "false",
        "with",
        "from",
        "this",
        "that",
        "func",
        "code",
        "data",
        "http",
        "https",
        "service",
        "server",
        "client",
        "call",
        "calls",
        "line",
        "type",
        "name",
        "time",
        "timeout",
        "count",
        "total",
        "rate",
        "ratio",
        "warn",
        "info",
        "level",
        "handler",
        "handle",
        "method",
        "path",
        "user",
        "after",
        "before",
    ]
)


def text_words(text: str) -> set[str]:
    """Words of four letters or more, whole identifiers and their parts, in lower case."""
    found = set()
    for name in re.findall(r"[A-Za-z_][A-Za-z0-9_-]{3,}", text):
        found.add(name.lower())
        parts = re.sub(r"([a-z0-9])([A-Z])", r"\1 \2", name).replace("_", " ").replace("-", " ")
        found.update(part.lower() for part in parts.split() if len(part) >= 4)
    return {word for word in found if word not in _STOP}
