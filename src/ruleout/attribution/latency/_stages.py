"""How the time that requests lost parts into waiting, more work, and slower work.

Work on a request takes longer because there is more of it (more tokens, longer texts) or because the same
amount takes longer (runtime, machine). The two part at equal counts: each current request is compared
with reference requests of the same count. A queue in front of work that got slower is its consequence.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ruleout.attribution.latency._requests import Operation, Requests
from ruleout.attribution.services._kinds import words

Floats = NDArray[np.float64]
Rng = np.random.Generator
Kind = Literal["queue", "encode", "model", "other"]
Cause = Literal["queue", "amount", "rate", "elsewhere"]

_WORDS: tuple[tuple[Kind, tuple[str, ...]], ...] = (
    ("queue", ("queue", "enqueue", "wait", "pending", "backlog", "acquire", "batching")),
    ("encode", ("token", "encod", "preprocess", "featuri", "embed lookup")),
    ("model", ("infer", "predict", "forward", "generat", "model", "session", "onnx", "score")),
)
_CLIP = 0.9
"""Times beyond this quantile count as it: what a busy machine does to single requests is no stage's doing."""

_SAME = 1.25
"""Work that takes up to this many times as long as before is no reason for a queue."""

_FOLLOWS = 4.0
"""Below saturation, a wait grows by no more than this many times what the work in front of it gained."""

_SATURATED = 0.7

_WORK = ("encode", "model")
_NO_MORE = 0.05
"""Counts that grew by less, on a log scale, are no reason for anything."""

_NEIGHBOURS = 15
_OVERLAP = 20
_RESAMPLES = 120
_BLOCKS = 20
_RELATED = 0.3
"""Rank correlation of a count with an operation's time, in both windows, below which it tells nothing."""

_ABOUT = 0.15


class Share(NamedTuple):
    """A share of the added time with its 95% interval, and the milliseconds that it is of."""

    fraction: float
    low: float
    high: float
    added: float


class Stage(NamedTuple):
    """A part of the added time, by what it is due to."""

    operation: Operation
    kind: Kind
    cause: Cause
    share: Share


class Pace(NamedTuple):
    """How an operation's time follows a count."""

    counted: str | None
    """Name of the count; None where the time follows none."""

    ratio: float
    """Time at equal counts, as a multiple of the reference's."""

    growth: float
    """Mean count, as a multiple of the reference's; 1 without a count."""

    compared: int
    """Current requests that had reference requests of their count."""


class Split(NamedTuple):
    """The whole account of one incident."""

    before: float
    added: float
    """Milliseconds a request, mean."""

    surely: float
    """Lower end of the added time's 95% interval."""

    stages: tuple[Stage, ...]
    """Largest share first."""

    paces: Mapping[Operation, Pace]
    usual: Mapping[Operation, float]


def kind_of_operation(name: str) -> Kind:
    """What an operation does, by the generic words of its name."""
    said = " ".join(words(name))
    for kind, known in _WORDS:
        if any(word in said for word in known):
            return kind
    return "other"


def split(
    before: Requests, now: Requests, counts: Mapping[str, tuple[Floats, Floats]], rng: Rng
) -> Split | None:
    """Part what requests lost by stages; None where they lost less than a tenth.

    Args:
        before: requests of the reference.
        now: requests of the incident.
        counts: what was logged about the size of each request, by name: reference (n,), current (m,).
        rng: for the intervals, a bootstrap over requests of both windows.
    """
    names = sorted(set(before.own) | set(now.own))
    kinds = {one: kind_of_operation(one.name) for one in names}
    own = {
        one: (
            _clip(before.own.get(one, np.zeros(len(before.total)))),
            _clip(now.own.get(one, np.zeros(len(now.total)))),
        )
        for one in names
    }
    whole = _clip(before.total), _clip(now.total)
    added = float(whole[1].mean() - whole[0].mean())
    if added <= 0.1 * float(whole[0].mean()):
        return None
    paces = {
        one: pace(own[one], counts) if kinds[one] != "queue" else Pace(None, 1.0, 1.0, 0)
        for one in names
    }
    heavier = _heavier(own, kinds, _use(now, kinds))
    point = _account(own, kinds, (paces, heavier), None)
    lost = max(sum(point.values()), 1e-9)
    draws: dict[tuple[Operation, Cause], list[float]] = {key: [] for key in point}
    gains = []
    for _ in range(_RESAMPLES):
        pick = _blocks(len(whole[0]), rng), _blocks(len(whole[1]), rng)
        drawn = _account(own, kinds, (paces, heavier), pick)
        gains.append(float(whole[1][pick[1]].mean() - whole[0][pick[0]].mean()))
        # What all operations lost together is the whole, so that the shares sum to one.
        sum_drawn = max(sum(drawn.values()), 1e-9)
        for key in point:
            draws[key].append(drawn[key] / sum_drawn)
    stages = [
        Stage(one, kinds[one], cause, _share(value, lost, draws[one, cause]))
        for (one, cause), value in point.items()
        if value > 0.02 * lost
    ]
    stages.sort(key=lambda s: (-s.share.fraction, s.operation, s.cause))
    usual = {one: float(values[0].mean()) for one, values in own.items()}
    surely = float(np.quantile(gains, 0.025))
    return Split(float(whole[0].mean()), added, surely, tuple(stages), paces, usual)


def _blocks(n: int, rng: Rng) -> NDArray[np.int64]:
    """Rows of resampled contiguous blocks: a machine that is busy for a while slows neighbours alike."""
    edges = np.linspace(0, n, _BLOCKS + 1).astype(np.int64)
    drawn = rng.integers(0, _BLOCKS, _BLOCKS)
    return np.concatenate([np.arange(edges[i], edges[i + 1]) for i in drawn])


def pace(own: tuple[Floats, Floats], counts: Mapping[str, tuple[Floats, Floats]]) -> Pace:
    """How an operation's time follows a count: of those that it follows about best, the one that explains most."""
    plain = float(np.median(own[1])) / max(float(np.median(own[0])), 1e-9)
    related = {
        name: min(abs(_rank_correlation(c, o)) for c, o in zip(values, own, strict=True))
        for name, values in counts.items()
    }
    least = max(_RELATED, max(related.values(), default=0.0) - _ABOUT)
    found = [_at_equal(own, counts[name], name) for name in counts if related[name] >= least]
    return min(
        found,
        key=lambda one: (abs(np.log(max(one.ratio, 1e-9))), one.counted or ""),
        default=Pace(None, plain, 1.0, len(own[1])),
    )


def _at_equal(own: tuple[Floats, Floats], count: tuple[Floats, Floats], name: str) -> Pace:
    """The pace by one count."""
    old, new = count
    inside = (new >= np.quantile(old, 0.02)) & (new <= np.quantile(old, 0.98))
    growth = float(new.mean()) / max(float(old.mean()), 1e-9)
    if inside.sum() >= _OVERLAP:
        expected = _expected(old, own[0], new[inside])
        ratio = float(np.median(own[1][inside] / np.maximum(expected, 1e-9)))
        return Pace(name, ratio, growth, int(inside.sum()))
    slope, start = _line(old, own[0])
    expected = np.maximum(start + slope * new, 1e-9)
    return Pace(name, float(np.median(own[1] / expected)), growth, 0)


def _expected(old: Floats, spent: Floats, new: Floats) -> Floats:
    """Median time of the reference requests nearest in count to each of `new`."""
    order = np.argsort(old, kind="stable")
    place = np.searchsorted(old[order], new)
    low = np.clip(place - _NEIGHBOURS // 2, 0, max(len(old) - _NEIGHBOURS, 0))
    index = np.minimum(low[:, None] + np.arange(_NEIGHBOURS), len(old) - 1)
    return np.asarray(np.median(spent[order][index], axis=1))


def _line(count: Floats, spent: Floats) -> tuple[float, float]:
    """Slope and start of a line through the medians of the lower and the upper third (Tukey)."""
    low, high = np.quantile(count, [1 / 3, 2 / 3])
    first, last = count <= low, count >= high
    span = float(np.median(count[last]) - np.median(count[first]))
    rise = float(np.median(spent[last]) - np.median(spent[first]))
    slope = max(rise / span, 0.0) if span > 0 else 0.0
    return slope, float(np.median(spent)) - slope * float(np.median(count))


def _account(
    own: Mapping[Operation, tuple[Floats, Floats]],
    kinds: Mapping[Operation, Kind],
    told: tuple[Mapping[Operation, Pace], bool],
    pick: tuple[NDArray[np.int64], NDArray[np.int64]] | None,
) -> dict[tuple[Operation, Cause], float]:
    """Milliseconds a request by operation and cause; never below 0."""
    paces, heavier = told
    more: dict[tuple[Operation, Cause], float] = {}
    waits = []
    for one, (old, new) in own.items():
        base = float((old if pick is None else old[pick[0]]).mean())
        gain = max(float((new if pick is None else new[pick[1]]).mean()) - base, 0.0)
        if kinds[one] == "queue":
            waits.append((one, gain))
            continue
        slower = gain * _slower(paces[one])
        more[one, "rate" if kinds[one] in _WORK else "elsewhere"] = slower
        more[one, "amount"] = gain - slower
    busy = {key: value for key, value in more.items() if kinds[key[0]] in _WORK}
    for one, gain in waits:
        more[one, "queue"] = 0.0 if heavier else gain
        for key, value in busy.items() if heavier else ():
            more[key] += gain * value / max(sum(busy.values()), 1e-9)
    return more


def _slower(found: Pace) -> float:
    """The part of an operation's gain, on a log scale, that is not due to larger counts."""
    if found.counted is None:
        return 1.0
    slow, much = max(float(np.log(found.ratio)), 0.0), max(float(np.log(found.growth)), 0.0)
    return 1.0 if much < _NO_MORE else slow / (slow + much)


def _heavier(
    own: Mapping[Operation, tuple[Floats, Floats]], kinds: Mapping[Operation, Kind], use: float
) -> bool:
    """Whether the work on a request takes so much longer that what is behind it has to wait."""
    medians = {one: [float(np.median(values)) for values in pair] for one, pair in own.items()}
    work = [pair for one, pair in medians.items() if kinds[one] in _WORK]
    wait = [pair for one, pair in medians.items() if kinds[one] == "queue"]
    old, new = (sum(pair[i] for pair in work) for i in (0, 1))
    longer = sum(now - before for before, now in wait)
    return new > _SAME * old > 0 and (longer <= _FOLLOWS * (new - old) or use > _SATURATED)


def _use(now: Requests, kinds: Mapping[Operation, Kind]) -> float:
    """Share of the incident during which the traced requests kept one worker busy."""
    busy = sum(float(spent.sum()) for one, spent in now.own.items() if kinds[one] in _WORK)
    return busy / max(float(np.ptp(now.start)) * 1000, 1e-9)


def _share(value: float, lost: float, draws: list[float]) -> Share:
    low, high = np.quantile(draws, [0.025, 0.975])
    fraction = float(np.clip(value / lost, 0, 1))
    return Share(fraction, min(float(low), fraction), max(float(high), fraction), value)


def _clip(values: Floats) -> Floats:
    return np.minimum(values, np.quantile(values, _CLIP))


def _rank_correlation(x: Floats, y: Floats) -> float:
    """Spearman's rank correlation; 0 where either does not vary."""
    if len(x) < 3 or np.ptp(x) == 0 or np.ptp(y) == 0:
        return 0.0
    ranks = [np.argsort(np.argsort(v, kind="stable"), kind="stable").astype(float) for v in (x, y)]
    return float(np.corrcoef(ranks[0], ranks[1])[0, 1])
