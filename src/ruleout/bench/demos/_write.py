"""Writing a demo's incident folder."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from pathlib import Path

from ruleout._errors import IncidentError, RuleoutError
from ruleout.bench.demos._scene import as_file


def _photos(folder: Path, seed: int) -> None:
    from ruleout.bench.demos import _photos

    _photos.write(folder, seed)


def _fraud(folder: Path, seed: int) -> None:
    from ruleout.bench.demos import _fraud

    _fraud.write(folder, seed)


def _nulls(folder: Path, seed: int) -> None:
    from ruleout.bench.demos import _nulls

    _nulls.write(folder, seed)


def _latency(folder: Path, seed: int, fault: str = "tokens") -> None:
    from ruleout.bench.demos import _latency

    _latency.write(folder, seed, fault)


DEMOS: Mapping[str, Callable[[Path, int], None]] = {
    "images": _photos,
    "fraud": _fraud,
    "nulls": _nulls,
    "latency": _latency,
}


def write(
    name: str,
    folder: str | Path,
    seed: int = 0,
    fault: str | None = None,
    *,
    force: bool = False,
) -> Path:
    """Write the incident folder of a demo: tables, changes, `incident.yaml` and what else belongs to it.

    Args:
        name: `images`, `fraud`, `nulls` or `latency`.
        folder: where to; it is made. A folder that holds anything but an earlier demo is left alone.
        seed: another seed gives other rows of the same story.
        fault: for `latency`, what is changed in the running service: `tokens`, `queue` or `runtime`.
        force: replace an incident that no demo wrote, or that was edited since.

    Returns:
        The folder.

    Raises:
        IncidentError: for an unknown demo or fault, or a folder that is in use for something else.
        MissingExtra: where a demo needs what is not installed.
    """
    if name not in DEMOS:
        raise IncidentError(f"there is no demo called {name!r}; there are {', '.join(DEMOS)}")
    if fault is not None and name != "latency":
        raise IncidentError(f"the demo {name!r} has one fault only; leave --fault away")
    place = Path(folder)
    marker = place / "incident.yaml"
    if place.exists() and (not place.is_dir() or (any(place.iterdir()) and not marker.exists())):
        raise IncidentError(f"{place} exists and is not a demo's folder; name another with --out")
    if marker.exists() and not force and not _untouched(marker):
        raise IncidentError(
            f"{marker} is not as a demo wrote it; name another folder with --out, or --force to replace it"
        )
    place.mkdir(parents=True, exist_ok=True)
    try:
        if fault is not None:
            _latency(place, seed, fault)
        else:
            DEMOS[name](place, seed)
    except RuleoutError:
        if not any(place.iterdir()):
            place.rmdir()
        raise
    return place


def _untouched(file: Path) -> bool:
    """Whether a demo of this release wrote the file and nobody has edited it since."""
    from ruleout.bench.demos import _fraud, _latency, _nulls, _photos

    try:
        text = file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        return False
    own = (as_file(one) for one in (_fraud.INCIDENT, _nulls.INCIDENT, _photos.INCIDENT))
    served = _timeless(as_file(_latency.incident(0.0, 0.0, 0.0)))
    return text in own or _timeless(text) == served


def _timeless(text: str) -> str:
    """A text without its instants: those of `latency` are of the hour in which it ran."""
    return re.sub(r"\d{4}-\d\d-\d\dT[\d:.]+(?:Z|\+00:00)", "TIME", text)
