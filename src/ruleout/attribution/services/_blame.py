"""Probabilities that one change did it, or none of them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
import polars as pl

from ruleout.attribution.services._elsewhere import Elsewhere
from ruleout.attribution.services._onset import onset
from ruleout.attribution.services._scene import Observed
from ruleout.attribution.services._suspects import Scene, Suspect, suspects, text_words
from ruleout.attribution.services._windows import Windows
from ruleout.sources.telemetry import Telemetry
from ruleout.sources.telemetry._records import LOGS, empty_logs

NONE = 3.3
"""Score that stands for no change at all."""

HEAT = 1.25
"""Divides scores before they become odds: a handful of labelled incidents cannot earn certainty."""


_TELLING_CODES = ("429",)
"""Codes of answers that tell why, without a word beside them."""

_MOST = 20_000
"""So many failed spans are read for their reasons."""


class Verdict(NamedTuple):
    """Who among the changes, and how sure."""

    suspects: tuple[Suspect, ...]
    probabilities: tuple[float, ...]
    none: float
    none_score: float

    def scores(self) -> tuple[tuple[str, float], ...]:
        """Score of every change by its reference (else its id), and of `none`."""
        told = [(one.change.ref or one.change.id, one.score) for one in self.suspects]
        return (("none", self.none_score), *told)


def odds_of(scores: Sequence[float], heat: float = HEAT) -> tuple[float, ...]:
    """Probabilities of alternatives by their scores."""
    values = np.array(scores) / heat
    odds = np.exp(values - values.max())
    return tuple(float(p) for p in odds / odds.sum())


def blame(seen: Observed, culprits: Mapping[str, float], others: Sequence[Elsewhere]) -> Verdict:
    """Weigh every change against each other and against causes that are no change.

    Args:
        seen: the incident.
        culprits: entities with the probability of being the cause.
        others: what speaks for causes that nobody rolled out.
    """
    ranked = suspects(seen.changes, _scene(seen, culprits))
    none = NONE + sum(sorted((one.weight for one in others), reverse=True)[:2])
    shares = odds_of([none, *(one.score for one in ranked)])
    return Verdict(tuple(ranked), shares[1:], shares[0], none)


def _scene(seen: Observed, culprits: Mapping[str, float]) -> Scene:
    spec = seen.incident.symptom
    own = seen.start.at if seen.start else spec.noticed_at or seen.windows.current[0]
    early = _forerunners(seen.telemetry, seen.windows, culprits, own)
    errors = error_lines(seen.telemetry, seen.windows)
    words: Counter[str] = Counter()
    for line in [seen.incident.title, spec.metric or "", *errors["message"].to_list()]:
        words.update(text_words(line or ""))
    path = set(seen.departed.filter(pl.col("score") > 0.5)["entity"].to_list())
    path |= {spec.entity} if spec.entity else set()
    return Scene(
        (own, *early),
        bool(seen.start and seen.start.ramp > 0),
        culprits,
        frozenset(path),
        words,
    )


def _forerunners(
    telemetry: Telemetry, windows: Windows, culprits: Mapping[str, float], own: float
) -> list[float]:
    """Onsets of other series of the likeliest entities that lead the symptom's."""
    found = []
    for entity, probability in culprits.items():
        if probability < 0.3:
            continue
        rows = telemetry.metrics.filter(pl.col("entity") == entity)
        for (_,), part in rows.group_by("metric", maintain_order=True):
            start = onset(part, windows)
            if start is not None and start.at < own:
                found.append(start.at)
    return found


def error_lines(telemetry: Telemetry, windows: Windows) -> pl.DataFrame:
    """Log lines of the incident that warn or fail, and what failed spans of it give as their reason."""
    start, end = windows.current
    lines = _reasons(telemetry.spans, start, end)
    if telemetry.logs.is_empty():
        return lines
    severity = pl.col("severity").fill_null("").str.to_uppercase()
    loud = telemetry.logs.filter(severity.str.contains("WARN|ERR|FATAL|CRIT|SEVERE|PANIC"))
    return pl.concat(
        [loud.filter((pl.col("time") >= start) & (pl.col("time") <= end + 600)), lines]
    )


def _reasons(spans: pl.DataFrame, start: float, end: float) -> pl.DataFrame:
    """Failed spans as lines of their service, with whom they called and why they failed, as far as they tell."""
    if spans.is_empty():
        return empty_logs()
    at = pl.col("start") / 1e9
    failed = spans.filter(
        pl.col("error").fill_null(value=False)
        & (at >= start)
        & (at <= end)
        & (pl.col("reason").is_not_null() | pl.col("code").is_in(_TELLING_CODES))
    ).head(_MOST)
    parts = [pl.col(name).fill_null("") for name in ("peer", "reason", "code")]
    return failed.select(
        at.alias("time"),
        pl.col("service").alias("entity"),
        pl.lit("ERROR").alias("severity"),
        pl.concat_str(parts, separator=" ").str.strip_chars().alias("message"),
        pl.col("trace"),
    ).select(list(LOGS))
