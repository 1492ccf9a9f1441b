"""Change events: deploys, configurations, migrations, campaigns."""

from __future__ import annotations

import re
from dataclasses import dataclass

import polars as pl

from ruleout._errors import SourceError
from ruleout.incident import Incident
from ruleout.incident._document import nearest
from ruleout.sources._tables import TableSource, open_table
from ruleout.sources._time import epoch_seconds

KINDS = (
    "deploy",
    "commit",
    "config",
    "data",
    "schema",
    "flag",
    "model",
    "index",
    "prompt",
    "scale",
    "calendar",
    "chaos",
)
"""What a change can be of."""

_TESTED = (
    r"chaos|game.?day|(load|stress|soak|fail-?over|recovery).?test|\bdrill|exercise|rehears"
    r"|\b(fail-?over|recovery|disaster)\W+dry.?run"
)
_WORK = r"maintenance|migrat|cut-?over|switch-?over"
_MEANT = re.compile(rf"{_TESTED}|{_WORK}|\b(planned|announced|scheduled)\b", re.IGNORECASE)
"""How people write of work that is meant to disturb."""

_WORLD = re.compile(
    r"campaign|promo|launch|holiday|festival|on-?board|black.?friday|\bsales?\b|season|opening|advert|newsletter",
    re.IGNORECASE,
)
_DISTURBS = re.compile(rf"{_TESTED}|{_WORK}", re.IGNORECASE)
"""A holiday, a launch or a campaign is the world's doing, however long it was planned, unless work is told of beside it."""

_TESTS = re.compile(rf"{_TESTED}|\b(planned|announced)\b", re.IGNORECASE)
_ROUTINE = 0.3
"""A copy more, or a flag, of which maintenance or a migration is the reason, is a change of every day."""

_NAME = re.compile(r"\w+(?:[_.]\w+)+")
_BY_NAME = re.compile(
    r"chaos|game.?day|drill|(load|stress|soak).?test|fault.?inject", re.IGNORECASE
)
"""What the name of a flag alone says; a flag that is called after a migration switches code like any other."""

_NEEDED = ("timestamp", "kind", "entity", "description")


@dataclass(frozen=True, slots=True)
class Change:
    """Something that somebody, or some schedule, changed."""

    id: str
    """`C1`, `C2`, ... in order of time."""

    at: float
    """Epoch seconds."""

    kind: str
    """One of `KINDS`."""

    entity: str
    """What was changed, by the incident's own name."""

    description: str
    ref: str | None = None
    """A commit, build, ticket or version."""

    diff: str | None = None


def meant_to_disturb(kind: str, description: str) -> float:
    """How surely, from 0 to 1, a change is a chaos run, or work announced in the words of such as may hurt."""
    if kind == "chaos" or (kind == "flag" and _BY_NAME.search(description)):
        return 1.0
    if kind not in ("calendar", "flag", "scale"):
        return 0.0
    told = _NAME.sub(" ", description) if kind == "flag" else description
    if _MEANT.search(told) is None or (_WORLD.search(told) and not _DISTURBS.search(told)):
        return 0.0
    return 1.0 if kind == "calendar" or _TESTS.search(told) else _ROUTINE


def load_changes(incident: Incident) -> tuple[Change, ...]:
    """The incident's change events in order of time; none if it names no source of them.

    Raises:
        SourceError: the source cannot be read, lacks a column, or an event has no readable time or an unknown kind.
    """
    if incident.changes is None:
        return ()
    table = open_table(incident.changes, incident.folder, "changes")
    for column in _NEEDED:
        if column not in table.schema:
            raise SourceError(
                f"changes: {table.place}: the column {column!r} is missing; an event has timestamp, kind, entity, "
                f"description and optionally ref and diff; {nearest(column, table.schema)}"
            )
    return changes_from(table.read(), table)


def changes_from(frame: pl.DataFrame, table: TableSource) -> tuple[Change, ...]:
    """Events from their table; events of one instant keep the table's order."""
    times = epoch_seconds(frame["timestamp"])
    if times.null_count():
        row = int(times.is_null().arg_max() or 0)
        raise SourceError(
            f"changes: {table.place}: row {row + 1}: timestamp is {frame['timestamp'][row]!r}; "
            "it must be a time such as 2026-11-20T14:30:00Z, or epoch seconds"
        )
    texts = {name: _texts(frame, name) for name in ("kind", "entity", "description", "ref", "diff")}
    kinds = [(kind or "").strip().lower() for kind in texts["kind"]]
    for row, kind in enumerate(kinds):
        if kind not in KINDS:
            raise SourceError(
                f"changes: {table.place}: row {row + 1}: kind is {texts['kind'][row]!r}; it must be one of "
                f"{', '.join(KINDS)}; {nearest(kind, KINDS)}"
            )
    order = sorted(range(frame.height), key=lambda row: times[row])
    return tuple(
        Change(
            id=f"C{number}",
            at=float(times[row]),
            kind=kinds[row],
            entity=texts["entity"][row] or "",
            description=texts["description"][row] or "",
            ref=texts["ref"][row],
            diff=texts["diff"][row],
        )
        for number, row in enumerate(order, start=1)
    )


def _texts(frame: pl.DataFrame, name: str) -> list[str | None]:
    if name not in frame.columns:
        return [None] * frame.height
    return [None if value is None else str(value) for value in frame[name].to_list()]
