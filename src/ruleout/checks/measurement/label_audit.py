"""A re-adjudicated sample against the recorded labels: noise, corruption, or the label of another row?"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from ruleout._records import Abstained, Clear, Finding, Outcome, RepairPlan, Subject
from ruleout._registry import check
from ruleout.checks.measurement._labels import label_subject
from ruleout.checks.measurement.label_alignment import shifted_lag
from ruleout.checks.measurement.label_maturity import mature_rows
from ruleout.checks.reproduction._locate import Place, locate
from ruleout.checks.reproduction._repairs import described
from ruleout.profile import Case, Which, text_series
from ruleout.profile._roles import class_codes
from ruleout.stats._ranks import middle_ranks
from ruleout.stats._twosample import ks, normal_sf

Floats = NDArray[np.float64]
MODES = ("label_noise", "corrupted_labels", "evaluation_bug", "immature_labels")
_LEAST = 30
_AS_WRONG = 0.5
"""Share of the rise in loss that rows of sound labels must show for labels to be out of the question."""

_FEW = 20
_PART = 0.2
_LAGS = 10
_PAIRS = 40
"""Numbers that differ from the audited ones, of which a rank correlation tells whether they are of the same rows."""


@dataclass(frozen=True, slots=True)
class Audited:
    """Rows of the current sample that were looked at again."""

    rows: NDArray[np.int64]
    recorded: Floats
    """Recorded label (n,): class code or number."""

    audited: Floats
    differs: NDArray[np.bool_]


@check(
    "label_audit",
    layer="data",
    rung="measurement",
    looks_for=MODES,
    needs=("probes.audit", "data.columns.target"),
)
def label_audit(case: Case, rng: np.random.Generator) -> Iterator[Outcome]:
    """Compare audited with recorded labels: how often they differ, and by what pattern."""
    del rng
    if case.audit is None or case.incident.audit is None:
        yield Abstained(MODES, "labels were not looked at again", "probes.audit")
        return
    if case.incident.data.columns.target is None:
        yield Abstained(MODES, "no recorded labels to compare with", "data.columns.target")
        return
    found = audited(case)
    if found is None or len(found.rows) < _LEAST:
        n = 0 if found is None else len(found.rows)
        yield Abstained(
            MODES, f"only {n} audited labels belong to sampled current rows, {_LEAST} are needed"
        )
        return
    rate, n = float(found.differs.mean()), len(found.rows)
    usual, z = _usual(case), _excess(case, found)
    if _agrees(case, found):
        told = f"{1 - rate:.1%} of {n} audited labels agree with the recorded ones"
        yield Clear(MODES, Subject(), told, float(usual + 2.8 * np.sqrt(0.02 / n)), "audit.agrees")
        yield from _still_off(case, found)
        return
    yield from _pattern(case, found, rate, float(z))


def _excess(case: Case, found: Audited) -> float:
    """Standard errors by which audited labels differ from the recorded ones more often than usual."""
    usual = _usual(case)
    error = np.sqrt(max(usual, 0.01) * (1 - usual) / len(found.rows))
    return (float(found.differs.mean()) - usual) / float(error)


def _agrees(case: Case, found: Audited) -> bool:
    return float(found.differs.mean()) < max(2 * _usual(case), 0.02) or _excess(case, found) < 3


def confirmed(case: Case) -> int:
    """How many current labels an audit has confirmed; 0 where it found them wrong, or looked at fewer than 30."""
    if case.audit is None:
        return 0
    found = audited(case)
    if found is None or len(found.rows) < _LEAST or not _agrees(case, found):
        return 0
    return int((~found.differs).sum())


def _still_off(case: Case, found: Audited) -> Iterator[Outcome]:
    """Whether answers are as wrong by labels that were looked at again as by all: then no label is to blame."""
    before, now = (case.loss(which) for which in ("reference", "current"))
    usual, whole = (float(np.nanmean(x)) if np.isfinite(x).any() else np.nan for x in (before, now))
    here = now[found.rows][~found.differs]
    here = here[np.isfinite(here)]
    if len(here) < _LEAST or not whole > usual:
        return
    rise = float(here.mean()) - usual
    error = float(here.std()) / np.sqrt(len(here)) + 1e-12
    if rise < _AS_WRONG * (whole - usual) or rise < 3 * error:
        return
    told = (
        f"the answers of {len(here)} rows whose labels were looked at again are wrong by {rise:+.3g} more than the "
        f"reference's ({whole - usual:+.3g} in all rows): the labels are not to blame"
    )
    yield Finding(
        "audit.still_wrong", Subject(), told, rise, rise / error, None, 1.0, (), against=("label_noise", "corrupted_labels"),
    )  # fmt: skip


def audited(case: Case) -> Audited | None:
    """Audited rows of the current sample, computed once."""
    if "audited rows" not in case.cache:
        case.cache["audited rows"] = _joined(case, "current")
    found: Audited | None = case.cache["audited rows"]
    return found


def _joined(case: Case, which: Which) -> Audited | None:
    probe, frame = case.incident.audit, case.audit
    table = case.table(which)
    if probe is None or frame is None or not table.has(probe.key):
        return None
    if probe.key not in frame.columns or probe.label not in frame.columns:
        return None
    again = pl.DataFrame(
        {"key": text_series(frame, probe.key), "said": _label_numbers(case, frame, probe.label)}
    ).drop_nulls("key")
    again = again.unique("key", keep="last", maintain_order=True)
    here = pl.DataFrame({"key": text_series(table.frame, probe.key)}).with_row_index("row")
    if which == "reference":
        again = not_in_current(case, again, probe.key)
    both = here.join(again, on="key", how="inner").sort("row")
    rows = both["row"].to_numpy().astype(np.int64)
    said = both["said"].to_numpy().astype(float)
    recorded = case.truth(which)[rows].astype(float)
    known = np.isfinite(said) & np.isfinite(recorded)
    if case.classes:
        known &= (said >= 0) & (recorded >= 0)
    rows, said, recorded = rows[known], said[known], recorded[known]
    return Audited(rows, recorded, said, _differ(case, recorded, said))


def not_in_current(case: Case, probe: pl.DataFrame, key: str) -> pl.DataFrame:
    """Probe rows with a text column `key` that cannot be of a current row: ids may begin anew in each window."""
    if not case.current.has(key):
        return probe
    now = pl.DataFrame({"key": text_series(case.current.frame, key)})
    return probe.join(now, on="key", how="anti", maintain_order="left")


def _label_numbers(case: Case, frame: pl.DataFrame, name: str) -> Floats:
    if not case.classes:
        return np.asarray(frame[name].cast(pl.Float64, strict=False).to_numpy(), dtype=float)
    numeric = "1" in case.classes or "0" in case.classes
    return class_codes(frame, name, case.classes, numeric=numeric).astype(float)


def _differ(case: Case, recorded: Floats, said: Floats) -> NDArray[np.bool_]:
    if case.classes:
        return np.asarray(recorded != said)
    spread = float(np.nanstd(case.truth("reference").astype(float))) or 1.0
    return np.asarray(np.abs(recorded - said) > 0.02 * spread)


def _usual(case: Case) -> float:
    """Disagreement in audited reference rows; 1% where none were audited."""
    found = _joined(case, "reference")
    if found is None or len(found.rows) < _LEAST:
        return 0.01
    return float((found.differs.sum() + 0.5) / (len(found.rows) + 1))


def _pattern(case: Case, found: Audited, rate: float, z: float) -> Iterator[Outcome]:
    place = locate(case, found.rows, found.differs.astype(float))
    head = f"{rate:.1%} of {len(found.rows)} audited labels differ from the recorded ones{described(place.scope)}"
    lag, share = _belongs_elsewhere(case, found)
    if share > 0.6:
        told = f"{head}: {share:.0%} of those that differ are the label of the row {abs(lag)} {'later' if lag > 0 else 'earlier'}"
        yield _finding(
            case, place, "audit.shifted", told, ("evaluation_bug",), size=(rate, z, share)
        )
        return
    late = _only_unripe(case, found)
    if late is not None:
        yield _finding(
            case,
            place,
            "audit.unripe",
            f"{head}: {late}",
            ("immature_labels",),
            size=(rate, z, 1.0),
        )
        return
    late = _only_newest(case, found)
    if late is not None:
        yield _finding(
            case, place, "audit.late", f"{head}: {late}", ("immature_labels",), size=(rate, z, 1.0)
        )
        return
    if _of_other_rows(case, found):
        told = f"{head}: those that differ are as high and as spread as the audited ones, and know nothing of them"
        either = ("evaluation_bug", "label_noise")
        yield _finding(case, place, "audit.shuffled", told, either, size=(rate, z, 1.0))
        return
    structured, why = _structure(case, found, place, rate)
    if structured > 0.1:
        told = f"{head}: {why}"
        yield _finding(
            case, place, "audit.structured", told, ("corrupted_labels",), size=(rate, z, structured)
        )
    if structured < 0.9:
        told = f"{head}: in all directions and segments alike"
        # Annotators do not err in every other case; labels of other rows do.
        shuffled = _balance_kept(case, found) or (len(case.classes) > 2 and place.rate > 0.55)
        modes = ("label_noise", "evaluation_bug") if shuffled else ("label_noise",)
        signal = "audit.diffuse" if len(modes) == 1 else "audit.shuffled"
        yield _finding(case, place, signal, told, modes, size=(rate, z, 1 - structured))


def _finding(
    case: Case,
    place: Place,
    signal: str,
    told: str,
    supports: tuple[str, ...],
    *,
    size: tuple[float, float, float],
) -> Finding:
    rate, z, strength = size
    subject = label_subject(case)
    return Finding(
        signal, subject, told, rate, z, float(normal_sf(min(z, 30.0))), float(np.clip(strength, 0.0, 1.0)),
        supports, against=("concept_drift", "covariate_shift"), scope=place.scope, onset=place.onset,
        repairs=(RepairPlan("audited_labels", subject),),
    )  # fmt: skip


def _belongs_elsewhere(case: Case, found: Audited) -> tuple[int, float]:
    """The lag at which disagreeing audited labels are a neighbour's recorded label, and how surely.

    Returns:
        Lag in rows, and the share of disagreeing rows that it explains beyond the best other lag.
    """
    rows, said = found.rows[found.differs], found.audited[found.differs]
    truth = case.truth("current").astype(float)
    if len(rows) < 20 or case.current.rows < case.current.total_rows:
        return 0, 0.0
    hits = {}
    for lag in [*range(-_LAGS, 0), *range(1, _LAGS + 1)]:
        place = rows + lag
        inside = (place >= 0) & (place < len(truth))
        other = truth[np.clip(place, 0, len(truth) - 1)]
        tolerance = 0.0 if case.classes else 1e-9
        hits[lag] = float((inside & (np.abs(other - said) <= tolerance)).mean())
    best = max(hits, key=lambda lag: (hits[lag], -abs(lag)))
    rest = max(share for lag, share in hits.items() if lag != best)
    share = (hits[best] - rest) / (1 - rest) if rest < 1 else 0.0
    # Where a part of the labels moved, a neighbour's is found only as often: what answers say of the lag decides.
    seen = shifted_lag(case)
    if seen is not None and abs(seen) == abs(best) and share > _PART:
        error = math.sqrt(max(rest * (1 - rest), 0.01) / len(rows))
        share = 1.0 if hits[best] - rest > 3 * error else share
    return best, share


def _only_unripe(case: Case, found: Audited) -> str | None:
    """Whether labels differ where they were read before they were final, and hardly elsewhere."""
    mature = mature_rows(case)
    if mature is None:
        return None
    ripe = mature[found.rows]
    if min(ripe.sum(), (~ripe).sum()) < _FEW:
        return None
    rates = float(found.differs[ripe].mean()), float(found.differs[~ripe].mean())
    error = math.sqrt(rates[1] * (1 - rates[1]) / int((~ripe).sum()))
    if rates[0] > 0.2 * rates[1] or rates[1] - rates[0] < 4 * error:
        return None
    return f"{rates[1]:.0%} of those read before they were final, {rates[0]:.1%} of the others"


def _only_newest(case: Case, found: Audited) -> str | None:
    """Late positives: only one class is missed, and more the newer the row."""
    if len(case.classes) != 2:
        return None
    missed = found.differs & (found.recorded == 0)
    if missed.sum() < 0.95 * found.differs.sum() or missed.sum() < 15:
        return None
    positive = found.audited == 1
    place = np.argsort(np.argsort(found.rows))[positive] / len(found.rows)
    gone = missed[positive]
    if gone.all():
        return None
    newer = float(place[gone].mean() - place[~gone].mean())
    noise = float(np.sqrt(1 / 12 * (1 / gone.sum() + 1 / (~gone).sum())))
    if newer < 3 * noise:
        return None
    return f"all are positives still recorded as {case.classes[0]!r}, the more the newer the row"


def _of_other_rows(case: Case, found: Audited) -> bool:
    """Whether numbers that differ are those of other rows: errors of whoever measured stay near the right number.

    What a join put beside another row follows the same distribution, and nothing else.
    """
    recorded, said = found.recorded[found.differs], found.audited[found.differs]
    if case.classes or len(said) < _PAIRS or min(np.ptp(recorded), np.ptp(said)) == 0:
        return False
    tied = float(np.corrcoef(middle_ranks(recorded), middle_ranks(said))[0, 1])
    return abs(tied) < 3 / math.sqrt(len(said)) and ks(recorded, said).p_value > 0.01


def _structure(case: Case, found: Audited, place: Place, rate: float) -> tuple[float, str]:
    """How surely one rule, not chance, changed the labels, in [0, 1], with the rule in words."""
    if place.contrast > 0 and (not np.isfinite(place.outside) or place.outside < 0.25 * place.rate):
        return 1.0, "elsewhere they agree"
    if not case.classes:
        return _rescaled(found)
    if len(case.classes) == 2:
        many = float(np.clip((rate - 0.32) / 0.12, 0.0, 1.0))
        return max((many, "too many for errors of annotators"), _one_way(case, found))
    return _mapping(case, found)


def _one_way(case: Case, found: Audited) -> tuple[float, str]:
    """How surely labels of one class alone were turned: annotators err in both, in proportion."""
    audited = found.audited.astype(int)
    rows = [int((audited == k).sum()) for k in (0, 1)]
    turned = [int((found.differs & (audited == k)).sum()) for k in (0, 1)]
    if min(rows) < _LEAST:
        return 0.0, ""
    rates = [t / n for t, n in zip(turned, rows, strict=True)]
    hit = int(rates[1] > rates[0])
    due = rates[hit] * rows[1 - hit]
    if due < 8 or turned[1 - hit] > 0.2 * due:
        return 0.0, ""
    told = f"{rates[hit]:.0%} of {case.classes[hit]} were turned, of {case.classes[1 - hit]} {rates[1 - hit]:.0%}"
    return float(np.clip((rates[hit] - 0.1) / 0.2, 0.0, 1.0)), told


def _rescaled(found: Audited) -> tuple[float, str]:
    recorded, said = found.recorded[found.differs], found.audited[found.differs]
    known = np.abs(said) > 1e-9
    if known.sum() < 15:
        return 0.0, ""
    ratio = recorded[known] / said[known]
    centre = float(np.median(ratio))
    steady = float((np.abs(ratio - centre) < 0.05 * abs(centre) + 1e-9).mean())
    return float(
        np.clip((steady - 0.4) / 0.4, 0.0, 1.0)
    ), f"recorded values are {centre:.4g} times the audited ones"


def _mapping(case: Case, found: Audited) -> tuple[float, str]:
    """Share of disagreeing rows that one class-to-class table explains, beyond chance."""
    size = len(case.classes)
    table = np.zeros((size, size))
    pair = found.audited[found.differs].astype(int), found.recorded[found.differs].astype(int)
    np.add.at(table, pair, 1)
    busy = table.sum(axis=1) >= 5
    if not busy.any():
        return 0.0, ""
    top = table[busy].max(axis=1).sum() / table[busy].sum()
    chance = np.sort(table[busy].sum(axis=0))[-1] / table[busy].sum()
    sure = float(np.clip((top - max(chance, 0.5)) / (0.9 - min(max(chance, 0.5), 0.85)), 0.0, 1.0))
    rows = np.flatnonzero(busy)[:3]
    told = ", ".join(f"{case.classes[k]} as {case.classes[int(table[k].argmax())]}" for k in rows)
    return sure, f"one mapping does it ({told})"


def _balance_kept(case: Case, found: Audited) -> bool:
    """Whether labels changed places and none was made up: the classes' shares stay, though many differ.

    Errors at random would bring rare classes up.
    """
    if not case.classes or found.differs.sum() < 40:
        return False
    rows = found.differs
    counts = [
        np.bincount(v[rows].astype(int), minlength=len(case.classes))
        for v in (found.recorded, found.audited)
    ]
    all_shares = np.bincount(found.audited.astype(int), minlength=len(case.classes)) / len(
        found.audited
    )
    moved = 0.5 * float(np.abs(counts[0] - counts[1]).sum()) / float(rows.sum())
    uneven = 0.5 * float(np.abs(all_shares - 1 / len(case.classes)).sum())
    return moved < 2.0 / np.sqrt(float(rows.sum())) and uneven > 0.15
