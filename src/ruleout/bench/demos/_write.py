"""Writing a demo's incident folder."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from ruleout._errors import IncidentError


def _photos(folder: Path, seed: int) -> None:
    from ruleout.bench.demos import _photos

    _photos.write(folder, seed)


def _fraud(folder: Path, seed: int) -> None:
    from ruleout.bench.demos import _fraud

    _fraud.write(folder, seed)


def _nulls(folder: Path, seed: int) -> None:
    from ruleout.bench.demos import _nulls

    _nulls.write(folder, seed)


DEMOS: Mapping[str, Callable[[Path, int], None]] = {
    "images": _photos,
    "fraud": _fraud,
    "nulls": _nulls,
}


def write(name: str, folder: str | Path, seed: int = 0) -> Path:
    """Write the incident folder of a demo: tables, changes, `incident.yaml` and what else belongs to it.

    Args:
        name: `images`, `fraud` or `nulls`.
        folder: where to; it is made. A folder that holds anything but an earlier demo is left alone.
        seed: another seed gives other rows of the same story.

    Returns:
        The folder.

    Raises:
        IncidentError: for an unknown demo, or a folder that is in use for something else.
    """
    if name not in DEMOS:
        raise IncidentError(f"there is no demo called {name!r}; there are {', '.join(DEMOS)}")
    place = Path(folder)
    marker = place / "incident.yaml"
    if place.exists() and (not place.is_dir() or (any(place.iterdir()) and not marker.exists())):
        raise IncidentError(f"{place} exists and is not a demo's folder; name another with --out")
    place.mkdir(parents=True, exist_ok=True)
    DEMOS[name](place, seed)
    return place
