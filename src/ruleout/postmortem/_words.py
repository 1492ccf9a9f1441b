"""How values become words: the same in the terminal, in Markdown and in HTML."""

from __future__ import annotations

import math
import re
import unicodedata
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Final

from ruleout import modes
from ruleout._records import Onset, Subject

MONTHS: Final = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"]
_UNSEEN: Final = {"Cc", "Cf", "Cs", "Co", "Zl", "Zp"}
_NEEDS: Final = {
    "data.reference": "a reference table",
    "data.current": "a current table",
    "data.columns.target": "labels",
    "data.columns.prediction": "logged predictions",
    "data.columns.score": "logged scores",
    "data.columns.scores": "logged class probabilities",
    "data.columns.timestamp": "timestamps",
    "data.columns.id": "a row key",
    "data.columns.image": "images",
    "data.columns.text": "texts",
    "data.columns.embedding": "embeddings",
    "data.columns.segments": "segments to localise in",
    "data.columns.label_available_at": "the time at which labels become final",
    "data.sources": "which source fills which column",
    "models.current": "the model that serves",
    "models.previous": "the previous model",
    "probes.parity": "features recomputed from raw data",
    "probes.golden": "golden inputs with stored outputs",
    "probes.audit": "a re-adjudicated sample of labels",
    "telemetry.metrics": "metrics of the services",
    "telemetry.traces": "traces",
    "telemetry.logs": "logs",
    "telemetry.topology": "which service calls which",
    "changes": "a list of changes",
}

_PART: Final = re.compile(
    r"(data|models|probes|telemetry|symptom|windows|impact)\b[.\w]*|changes\b|labels$|something that"
)
"""How a need begins that names a part of the incident."""

_CHECKS: Final = {"nothing_ruled_out": "the symptom's own course"}
"""Checks whose id would mislead a reader."""


def clean(text: object, limit: int = 400) -> str:
    """Text that cannot move a cursor, hide itself or reverse its neighbours.

    Control, format and private characters become U+FFFD, white space becomes single spaces, and
    what exceeds `limit` characters ends in an ellipsis.
    """
    words = " ".join(str(text)[: 4 * limit].split())
    shown = words if words.isprintable() else "".join(map(_visible, words))
    return shown if len(shown) <= limit else shown[: limit - 1].rstrip() + "…"


def _visible(char: str) -> str:
    return "\ufffd" if unicodedata.category(char) in _UNSEEN else char


def finite(value: object) -> float | None:
    """The number, or None for everything that is not a finite one."""
    if isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value):
        return float(value)
    return None


def figure(value: float | None, scale: float | None = None) -> str:
    """A number with the digits that matter at `scale` (by default its own size)."""
    number = finite(value)
    if number is None:
        return "unknown"
    size = abs(finite(scale) or number)
    if size == 0:
        return "0"
    if size >= 1e7 or size < 1e-4:
        return f"{number:.3g}"
    order = math.floor(math.log10(size))
    digits = max(0, min(2 - order, max(3, 1 - order)))
    text = f"{number:,.{digits}f}"
    return text.lstrip("-") if not text.strip("-0.") else text


def signed(value: float | None, scale: float | None = None) -> str:
    """A change: a figure that shows its sign."""
    text = figure(value, scale)
    # What rounds to nothing has no direction.
    return f"+{text}" if (finite(value) or 0) > 0 and text.strip("0.") else text


def percent(value: float | None) -> str:
    """A share in whole per cent that never rounds doubt away."""
    share = finite(value)
    if share is None:
        return "unknown"
    if 0 < share < 0.005:
        return "<1%"
    if 0.995 < share < 1:
        return ">99%"
    # Adding nothing turns the -0 of a small negative share into 0.
    return f"{round(100 * share) + 0}%"


def p_value(value: float | None) -> str:
    """A p-value with two digits; very small ones as a power of ten."""
    p = finite(value)
    if p is None:
        return ""
    return f"{p:.2g}" if p >= 1e-4 or p == 0 else f"{p:.0e}".replace("e-0", "e-")


def instant(value: object) -> float | None:
    """Epoch seconds of an ISO 8601 text (UTC unless it says otherwise) or of a number."""
    if isinstance(value, str):
        try:
            moment = datetime.fromisoformat(value)
        except ValueError:
            return None
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
    return finite(value)


def moment(value: object, *, exact: bool = False) -> str:
    """An instant for a person, in UTC, to the minute or exactly; text that is no instant stays."""
    seconds = instant(value)
    if seconds is None or not -2e10 < seconds < 2e11:
        return clean(value, 40)
    form = "%Y-%m-%d %H:%M:%S" if exact else "%Y-%m-%d %H:%M"
    return datetime.fromtimestamp(seconds, UTC).strftime(form)


def day_and_hour(value: object) -> str:
    """An instant without its year, as `18 Nov 02:50`."""
    seconds = instant(value)
    if seconds is None or not -2e10 < seconds < 2e11:
        return clean(value, 40)
    when = datetime.fromtimestamp(seconds, UTC)
    return f"{when.day} {MONTHS[when.month - 1]} {when:%H:%M}"


def since(onset: Onset) -> str:
    """An onset with its interval."""
    interval = between(onset)
    return f"{onset_at(onset)} UTC ({interval})" if interval else f"{onset_at(onset)} UTC"


def onset_at(onset: Onset) -> str:
    """The onset, to the second when its interval is that narrow."""
    return moment(onset.at, exact=_narrow(onset))


def between(onset: Onset) -> str:
    """An onset's interval; the day is left out when it is the onset's own."""
    at, low, high = (moment(t, exact=_narrow(onset)) for t in (onset.at, onset.low, onset.high))
    if low == high:
        return ""
    if at[:10] == low[:10] == high[:10]:
        low, high = low[11:], high[11:]
    return f"between {low} and {high}"


def _narrow(onset: Onset) -> bool:
    low, high = instant(onset.low), instant(onset.high)
    return low is not None and high is not None and 0 < high - low < 600


def subject_text(subject: Subject | None, most: int = 3) -> str:
    """`feature weight_g`, `edge a → b`, `features a, b and 3 more`, or nothing."""
    if subject is None or subject.kind == "none":
        return ""
    if not subject.names or subject.names == (subject.kind,):
        return subject.kind
    kind: str = subject.kind
    names = [clean(name, 60) or '""' for name in subject.names]
    if (role := modes.called(names[0], kind)) != names[0]:
        return f"{role} ({listed(names[1:], most)})" if len(names) > 1 else role
    if kind == "edge":
        return f"edge {' → '.join(names[:most])}"
    if len(names) > 1:
        kind = "classes" if kind == "class" else f"{kind}s"
    return f"{kind} {listed(names, most)}"


def listed(items: Sequence[str], most: int = 4) -> str:
    """`a, b and 23 more`; two or more that all fit end in `and`."""
    if len(items) > most:
        return f"{', '.join(items[:most])} and {len(items) - most} more"
    if len(items) > 1:
        return f"{', '.join(items[:-1])} and {items[-1]}"
    return items[0] if items else ""


def need_text(needs: str) -> str:
    """What would have to be supplied, in words, with the key of `incident.yaml` beside it."""
    if not needs:
        return "nothing that the incident could supply"
    words = _NEEDS.get(needs)
    return f"{words} ({needs})" if words else clean(needs, 120)


def lacking(needs: str) -> str:
    """`needs telemetry.metrics`; a reason that no part of the incident would mend stays as it is."""
    given = needs.endswith("does not hold what would show it")
    return f"needs {needs}" if _PART.match(needs) and not given else needs


def check_name(check: str) -> str:
    """A check's id in words."""
    return _CHECKS.get(check) or clean(check.replace("_", " "), 60) or "unnamed check"


def plural(count: int, noun: str) -> str:
    """`1 row`, `2 rows`."""
    return f"{count:,} {noun if count == 1 else noun + 's'}"


def mode_title(mode: str) -> str:
    """The human title of a failure mode, or its id in words when the catalogue has none."""
    known = modes.load().get(mode)
    if known is not None:
        return known.title
    words = re.sub(r"_+", " ", clean(mode, 60)).strip() or "unnamed mode"
    return words[0].upper() + words[1:]


def unique(items: Iterable[str]) -> list[str]:
    """The items without repeats, in their order."""
    return list(dict.fromkeys(items))
