"""What nobody looked for, and what that would take."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence

from ruleout import modes
from ruleout._records import Abstained, Checked, NotChecked
from ruleout._registry import REPAIRS

_REPAIR = "repair "


def not_checked(
    checked: Sequence[Checked],
    settled: Collection[str],
    failed: Mapping[str, str],
    excluded: Collection[str] = (),
) -> tuple[NotChecked, ...]:
    """Modes that nobody could look for, with what that needs; those of failed sources first.

    Args:
        checked: what the checks returned.
        settled: modes that are hypotheses or ruled out; they were looked for.
        failed: sources that failed or were empty, and `repair ...` of what could not be undone, with the reason.
        excluded: modes that are ruled out, by whatever else there was to see.
    """
    first = [
        NotChecked(mode, f"{source}: {reason}")
        for source, reason in failed.items()
        for mode in concerned(source)
        if mode not in excluded
    ]
    known = {told.failure_mode for told in first} | set(settled)
    out: dict[str, str] = {}
    for done in checked:
        for outcome in done.outcomes:
            if isinstance(outcome, Abstained):
                for mode in outcome.modes:
                    if mode not in known:
                        out.setdefault(mode, outcome.needs or outcome.reason)
    for name, mode_of in sorted(modes.load().items()):
        if name not in known and not mode_of.is_null:
            out.setdefault(
                name, mode_of.needs[0] if mode_of.needs else mode_of.unobservable_because
            )
    return (*first, *(NotChecked(mode, needs) for mode, needs in sorted(out.items())))


def concerned(source: str) -> list[str]:
    """Ids of the modes that need a source or are sharpened by it; of a repair, those that it undoes."""
    if source.startswith(_REPAIR):
        known = modes.load()
        repair = REPAIRS.get(source.removeprefix(_REPAIR))
        return sorted(m for m in (repair.undoes if repair else ()) if m in known)
    by_part = {
        name: (*known.needs, *known.sharpened_by) for name, known in sorted(modes.load().items())
    }
    # A part that no mode names by itself, e.g. `probes.golden.served`, serves those of what it is a part of.
    for part in _upwards(source.partition(": ")[0]):
        found = [name for name, parts in by_part.items() if _any_of(parts, part)]
        if found:
            return found
    return []


def _upwards(source: str) -> Iterator[str]:
    """A source, then what it is a part of."""
    words = source.partition("[")[0].split(".")
    for n in range(len(words), 0, -1):
        yield ".".join(words[:n])


def _any_of(parts: Iterable[str], source: str) -> bool:
    return any(part == source or part.startswith(f"{source}.") for part in parts)
