"""What is said of shifts that nobody injected: `python -m ruleout.bench.natural [NAME] [--write PAGE]`.

California by geography, car loans late in their series, employment by year (where nothing harms), bike rentals a year on,
sentiment in another domain, and queries outside every known intent. Models that the data do not bring are small ones, trained
on the reference's own past: a booster, or naive Bayes on words.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import polars as pl
from numpy.typing import NDArray

from ruleout._diagnose import run
from ruleout._records import Diagnosis
from ruleout.attribution import Attribution, decompose
from ruleout.bench.attribution._write import place
from ruleout.bench.corpus._dataset import table
from ruleout.incident import Incident
from ruleout.incident._model import Columns, DataSpec, SymptomSpec, TableSpec
from ruleout.profile import build_case
from ruleout.stats._boosting import Floats, fit

CALM = "no incident"


class Shift(NamedTuple):
    """A natural shift and what is known of it."""

    name: str
    known: str
    expected: tuple[str, ...]
    """Failure modes that what is known amounts to, or `CALM`."""

    incident: Incident


def shifts() -> Iterator[Shift]:
    """Every natural shift of the data folder."""
    yield from _employment()
    yield _california()
    yield _loans()
    yield _bikes()
    yield from _sentiment()
    yield _intents()


def _incident(
    name: str,
    metric: str,
    reference: pl.DataFrame,
    current: pl.DataFrame,
    columns: Columns,
    *,
    task: str = "binary",
) -> Incident:
    return Incident(
        title=name,
        task=task,  # type: ignore[arg-type]
        symptom=SymptomSpec(metric=metric),
        data=DataSpec(TableSpec(frame=reference), TableSpec(frame=current), columns),
    )


def _employment() -> Iterator[Shift]:
    frame = table("acs_employment_ma/employment.parquet")
    other = ("id", "employed", "year", "prediction", "predicted_probability", "partition")
    columns = Columns(
        id="id",
        target="employed",
        prediction="prediction",
        score="predicted_probability",
        positive=1,
        features=tuple(c for c in frame.columns if c not in other),
    )
    before = frame.filter(pl.col("year") == 2015)
    for year in (2016, 2017, 2018):
        now = frame.filter(pl.col("year") == year)
        for rows in (500, 5_000, 60_000):
            first, last = (f.sample(min(rows, f.height), seed=rows) for f in (before, now))
            name = f"employment {year} against 2015, {rows:,} rows"
            yield Shift(
                name, "harmless", (CALM,), _incident(name, "accuracy", first, last, columns)
            )


def _partitioned(
    path: str, target: str, positive: int
) -> tuple[pl.DataFrame, pl.DataFrame, Columns]:
    frame = table(path)
    other = ("id", "timestamp", target, "y_pred", "y_pred_proba", "partition")
    columns = Columns(
        id="id",
        timestamp="timestamp",
        target=target,
        prediction="y_pred",
        score="y_pred_proba",
        positive=positive,
        features=tuple(c for c in frame.columns if c not in other),
    )
    inside = pl.col("partition") == "reference"
    return frame.filter(inside), frame.filter(~inside), columns


def _california() -> Shift:
    before, now, columns = _partitioned("california_housing/housing.parquet", "clf_target", 1)
    return Shift(
        "california, by geography",
        "inputs, nearly disjoint",
        ("covariate_shift", "benign_mix", "new_category"),
        _incident("california", "auc", before, now, columns),
    )


def _loans() -> Shift:
    before, now, columns = _partitioned("synthetic_car_loan/loans.parquet", "repaid", 1)
    return Shift(
        "car loans, late",
        "inputs",
        ("covariate_shift", "benign_mix"),
        _incident("car loans", "auc", before, now.tail(20_000), columns),
    )


def _bikes() -> Shift:
    frame = table("bike_sharing/hour.parquet").with_columns(
        (pl.col("dteday").str.to_datetime("%Y-%m-%d") + pl.duration(hours=pl.col("hr"))).alias("ts")
    )
    features = (
        "season",
        "hr",
        "holiday",
        "weekday",
        "workingday",
        "weathersit",
        "temp",
        "hum",
        "windspeed",
    )
    x = frame.select(features).cast(pl.Float64).to_numpy()
    first = (frame["yr"] == 0).to_numpy()
    train = first & (np.arange(len(x)) % 2 == 0)
    y = frame["cnt"].cast(pl.Float64).to_numpy()
    said = fit(x[train], y[train], rng=np.random.default_rng(1), trees=150).raw(x)[:, 0]
    frame = frame.with_columns(pl.Series("said", said))
    columns = Columns(timestamp="ts", target="cnt", prediction="said", features=features)
    incident = _incident(
        "bikes",
        "mae",
        frame.filter(pl.Series(first & ~train)),
        frame.filter(pl.Series(~first)),
        columns,
        task="regression",
    )
    return Shift(
        "bike rentals, a year on",
        "growth: more rentals at the same inputs",
        ("concept_drift",),
        incident,
    )


def _sentiment() -> Iterator[Shift]:
    frame = table("text_sentiment_domains/sentences.parquet").filter(pl.col("positive") < 2)
    home = min(frame["domain"].unique().to_list())
    inside = (frame["domain"] == home).to_numpy()
    order = np.random.default_rng(2).permutation(np.flatnonzero(inside))
    train = np.zeros(frame.height, dtype=bool)
    train[order[: len(order) // 2]] = True
    words = _Words(frame["text"].to_list(), train, frame["positive"].to_numpy().astype(np.int64), 2)
    frame = frame.with_columns(
        pl.Series("said", words.decision), pl.Series("score", words.chance[:, 1])
    )
    columns = Columns(target="positive", prediction="said", score="score", positive=1, text="text")
    incident = _incident(
        "sentiment",
        "accuracy",
        frame.filter(pl.Series(inside & ~train)).drop("domain"),
        frame.filter(pl.Series(~inside)).drop("domain"),
        columns,
    )
    yield Shift(
        "sentiment, trained on one shop, read on two other sites",
        "inputs: other words",
        ("covariate_shift",),
        incident,
    )


def _intents() -> Shift:
    frame = table("text_clinc150/clinc150.parquet")
    rng = np.random.default_rng(3)
    known = (~frame["out_of_scope"]).to_numpy()
    top = frame.filter(pl.Series(known))["intent"].unique().sort().to_list()[:12]
    frame = frame.filter(pl.col("intent").is_in(top) | pl.col("out_of_scope"))
    known = (~frame["out_of_scope"]).to_numpy()
    u = rng.random(frame.height)
    train = known & (u < 0.4)
    codes = (
        frame["intent"]
        .replace_strict(top, list(range(len(top))), default=-1)
        .to_numpy()
        .astype(np.int64)
    )
    words = _Words(frame["text"].to_list(), train, codes, len(top))
    frame = frame.with_columns(pl.Series("said", [top[k] for k in words.decision]))
    columns = Columns(target="intent", prediction="said", text="text")
    incident = _incident(
        "intents",
        "accuracy",
        frame.filter(pl.Series(known & (u >= 0.4) & (u < 0.7))),
        frame.filter(pl.Series(u >= 0.7)),
        columns,
        task="multiclass",
    )
    return Shift("queries out of scope", "a new class", ("new_category",), incident)


class _Words:
    """Naive Bayes on hashed words: chances (n, K) and decisions (n,) for all texts, learned on some."""

    def __init__(
        self, texts: list[str], train: NDArray[np.bool_], codes: NDArray[np.int64], classes: int
    ) -> None:
        counts = np.zeros((len(texts), 2048))
        for row, text in enumerate(texts):
            for word in text.lower().split():
                counts[row, sum(ord(c) * 31**k for k, c in enumerate(word[:12])) % 2048] += 1
        logs: Floats = np.stack(
            [
                np.log(
                    (counts[train & (codes == k)].sum(axis=0) + 0.5)
                    / (counts[train & (codes == k)].sum() + 1024)
                )
                for k in range(classes)
            ]
        )
        share = np.bincount(codes[train], minlength=classes) / train.sum()
        margin = counts @ logs.T + np.log(np.maximum(share, 1e-9))
        odds = np.exp(margin - margin.max(axis=1, keepdims=True))
        self.chance: Floats = odds / odds.sum(axis=1, keepdims=True)
        self.decision = self.chance.argmax(axis=1)


class Answer(NamedTuple):
    """What is said of one shift."""

    shift: Shift
    diagnosis: Diagnosis
    parts: Attribution | None


def answer(shift: Shift) -> Answer:
    """Diagnose a shift and, where its metric moved, take the change apart."""
    found = run(shift.incident)
    parts = decompose(build_case(shift.incident)) if found.symptom.significant else None
    return Answer(shift, found, parts)


def judged(told: Answer) -> str:
    """How the answer compares with what is known; a likelihood from a half on counts as a statement."""
    expected, found = told.shift.expected, told.diagnosis
    if found.verdict == "no_incident":
        return "agrees" if CALM in expected else "says that nothing happened"
    top = found.hypotheses[0] if found.hypotheses else None
    if top is not None and top.failure_mode in expected:
        return "agrees" if top.probability >= 0.5 else "leads to it, undecided"
    if top is not None and top.probability >= 0.5:
        return "**contradicts it**"
    named = any(h.failure_mode in expected for h in found.hypotheses)
    return "undecided, names it" if named else "undecided, does not name it"


def line(told: Answer) -> str:
    """One row of the table."""
    s, found = told.diagnosis.symptom, told.diagnosis
    likely = "; ".join(
        f"{h.failure_mode.replace('_', ' ')} {', '.join(h.subject.names)}".strip()
        + f" ({h.probability:.2f})"
        for h in found.hypotheses[:2]
        if h.probability >= 0.05
    )
    said = found.verdict.replace("_", " ") + (f": {likely}" if likely else "")
    parts = "<br>".join(told.parts.sentences()) if told.parts is not None else ""
    change = f"{s.metric} {s.reference:.3g} to {s.current:.3g}"
    cells = (told.shift.name, told.shift.known, change, said, parts, judged(told))
    return "| " + " | ".join(cells) + " |"


_HEAD = """| shift | known | metric | said, with the likeliest | parts of the change | beside what is known |
|---|---|---|---|---|---|"""


def main(argv: Sequence[str] | None = None) -> None:
    """Print what is known and what is said, and write it into a page when asked to."""
    parser = argparse.ArgumentParser(prog="python -m ruleout.bench.natural")
    parser.add_argument("chosen", nargs="?", default="", help="a part of the shifts' names")
    parser.add_argument("--write", type=Path, metavar="PAGE", help="a page with the marks `shifts`")
    asked = parser.parse_args(argv)
    print(_HEAD)  # noqa: T201 - the lines are what was asked for
    lines = []
    for shift in shifts():
        if asked.chosen in shift.name:
            lines.append(line(answer(shift)))
            print(lines[-1], flush=True)  # noqa: T201
    if asked.write is not None:
        place(asked.write, "shifts", "\n".join([_HEAD, *lines]))


if __name__ == "__main__":
    main()
