"""Drawing the two windows of a healthy served system from a data set."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray

from ruleout.bench.corpus._dataset import DataSet, shuffled
from ruleout.bench.corpus._metrics import score, worsening
from ruleout.bench.corpus._models import Fitted, Trainer
from ruleout.prevention.inject import Base

_HOSTS = (("scorer-{}", 1), ("ip-10-0-4-{}", 17), ("ml-pod-{}", 0), ("eu1-node{}", 1))


@dataclass(frozen=True)
class System:
    """A data set split in three, its model and what each feature is worth."""

    data: DataSet
    trainer: Trainer
    model: Fitted
    train: pl.DataFrame
    reference: pl.DataFrame
    pool: pl.DataFrame
    importance: dict[str, float]


def build_system(data: DataSet, kind: str, folder: Path) -> System:
    """Split the rows, train the model of `kind` and measure how much each feature matters."""
    rows = shuffled(data.frame)
    cut = data.train_rows
    middle = cut + (rows.height - cut) // 2
    train, reference, pool = rows[:cut], rows[cut:middle], rows[middle:]
    if rows.height - cut < 2_000:
        # Two thin samples of a small set would differ by themselves; both windows share one.
        reference = pool = rows[cut:]
    trainer = Trainer(data, kind, folder)
    model = trainer(train, name="current")
    probe = pool.head(2_000)
    return System(data, trainer, model, train, reference, pool, _importance(data, model, probe))


def _importance(data: DataSet, model: Fitted, probe: pl.DataFrame) -> dict[str, float]:
    rng = np.random.default_rng(0)
    metric = "mae" if data.task == "regression" else "log_loss"
    before = score(metric, probe[data.target], model.answer(probe), data.classes)
    found = {}
    for name in (*data.numeric, *data.categorical):
        mixed = probe.with_columns(probe[name].gather(rng.permutation(probe.height)))
        after = score(metric, probe[data.target], model.answer(mixed), data.classes)
        found[name] = max(worsening(metric, before, after), 0.0)
    return found


def draw_base(
    system: System,
    rng: np.random.Generator,
    *,
    rows: int | None = None,
    split: str | None = None,
) -> Base:
    """Two windows of clean rows with times, ids, actors, hosts and regions.

    Args:
        system: data and model.
        rng: source of chance.
        rows: at most so many rows a window.
        split: column of an experiment, `arm` or `exploration`; default: drawn, mostly none.
    """
    data = system.data
    n = min(rows or data.rows, data.rows)
    begin = datetime(2026, 1, 5, tzinfo=UTC) + timedelta(days=int(rng.integers(0, 240)))
    days, recent = int(rng.integers(14, 29)), int(rng.integers(2, 5))
    n_current = int(n * rng.uniform(0.6, 1.0))
    reference = _window(data, system.reference, n, begin, days, rng=rng)
    after = begin + timedelta(days=days)
    current = _window(data, system.pool, n_current, after, recent, rng=rng)
    fleet = _fleet(rng)
    frames = [_peopled(f, fleet, rng, k) for k, f in enumerate((reference, current))]
    if split is None and rng.random() < 0.25:
        # A healthy experiment or a holdout runs beside many incidents and means nothing.
        split = ("arm", "exploration")[int(rng.integers(2))]
    if split is not None:
        share = 0.5 if split == "arm" else 0.15
        frames = [_split(f, split, share, rng) for f in frames]
    return Base(
        name=data.name,
        subject=data.subject,
        task=data.task,
        metric=data.metrics[0],
        reference=frames[0],
        current=frames[1],
        pool=system.pool,
        features=data.features,
        numeric=data.numeric,
        categorical=data.categorical,
        target=data.target,
        classes=data.classes,
        model=system.model,
        fit=system.trainer,
        train=system.train,
        previous=system.trainer(system.train, name="older", version="6", size=0.7),
        nature=system.trainer.nature,
        importance=system.importance,
        segments=("region", "host"),
        sources=data.sources,
        hours=data.hours,
        counts=data.counts,
        text=data.text,
        image=data.image,
        embedding=data.embedding,
    )


def _window(
    data: DataSet,
    stock: pl.DataFrame,
    n: int,
    begin: datetime,
    days: int,
    *,
    rng: np.random.Generator,
) -> pl.DataFrame:
    """Draw n rows and give them times in the window, in step with clock and weekday columns."""
    if data.weekday is not None:
        present = [(begin + timedelta(days=d)).isoweekday() % 7 for d in range(days)]
        stock = stock.filter(pl.col(data.weekday).is_in(sorted(set(present))))
    again = n > stock.height
    rows = rng.integers(0, stock.height, size=n) if again else rng.permutation(stock.height)[:n]
    frame = _jittered(data, stock[rows], rng) if again else stock[rows]
    seconds = _times(data, frame, begin, days, rng)
    stamp = pl.Series("ts", (seconds * 1e6).astype(np.int64)).cast(pl.Datetime("us", "UTC"))
    own = [
        stamp.cast(frame[c].dtype).alias(c) for c, how in data.hours.items() if how == "datetime"
    ]
    return frame.with_columns(stamp, *own).sort("ts", maintain_order=True)


def _jittered(data: DataSet, frame: pl.DataFrame, rng: np.random.Generator) -> pl.DataFrame:
    """Repeated rows get a little noise where a column is continuous."""
    moved = []
    for name in data.numeric:
        column = frame[name]
        if column.dtype.is_float() and column.n_unique() > 50 and name not in data.hours:
            spread = float(column.std() or 0.0) * 0.03  # type: ignore[arg-type]
            places = 3 if abs(float(column.max() or 0)) < 1000 else 1  # type: ignore[arg-type]
            noise = rng.normal(0, spread, frame.height)
            moved.append(pl.Series(name, column.to_numpy() + noise).round(places))
    return frame.with_columns(moved)


def _times(
    data: DataSet, frame: pl.DataFrame, begin: datetime, days: int, rng: np.random.Generator
) -> NDArray[np.float64]:
    n = frame.height
    day = rng.integers(0, days, size=n)
    if data.weekday is not None:
        wanted = frame[data.weekday].to_numpy()
        weekday = np.array([(begin + timedelta(days=d)).isoweekday() % 7 for d in range(days)])
        for value in np.unique(wanted):
            fitting = np.flatnonzero(weekday == value)
            rows = wanted == value
            day[rows] = rng.choice(fitting, size=int(rows.sum()))
    if data.hours:
        name, how = next(iter(data.hours.items()))
        clock = frame[name] if how == "hour" else frame[name].dt.hour()
        hour = clock.to_numpy().astype(np.float64)
    else:
        hour = np.clip(rng.normal(13.5, 5.0, n), 0, 23.49)
        hour = np.where(rng.random(n) < 0.25, rng.uniform(0, 24, n), hour)
    within = np.floor(hour) * 3600.0 + rng.uniform(0, 3600, n)
    placed: NDArray[np.float64] = begin.timestamp() + day * 86_400.0 + within
    return placed


def _fleet(rng: np.random.Generator) -> tuple[list[str], list[str], NDArray[np.float64]]:
    pattern, first = _HOSTS[int(rng.integers(len(_HOSTS)))]
    hosts = [pattern.format(first + k) for k in range(int(rng.integers(4, 8)))]
    regions = [["north", "south", "west"], ["eu", "us", "apac", "latam"], ["DE", "FR", "IT", "ES"]]
    shares = rng.dirichlet(np.full(len(hosts), 12.0))
    return hosts, regions[int(rng.integers(3))], shares


def _peopled(
    frame: pl.DataFrame,
    fleet: tuple[list[str], list[str], NDArray[np.float64]],
    rng: np.random.Generator,
    which: int,
) -> pl.DataFrame:
    """Add request ids, actors with keys of three formats, regions and hosts."""
    hosts, regions, shares = fleet
    n = frame.height
    actor = rng.integers(0, max(n // 5, 50), size=n)
    shapes = np.array(["A-{:06d}", "b{:06d}", "ext{:06d}"])
    shape = np.where(actor % 20 < 9, 0, np.where(actor % 20 < 17, 1, 2))
    keys = [str(shapes[s]).format(a) for s, a in zip(shape, actor, strict=True)]
    first = 1_000_000 * (which + 1)
    return frame.with_columns(
        pl.Series("request_id", [f"r{first + k}" for k in range(n)]),
        pl.Series("account_id", keys),
        pl.Series("region", rng.choice(regions, size=n).tolist()),
        pl.Series("host", rng.choice(hosts, size=n, p=shares).tolist()),
    )


def _split(frame: pl.DataFrame, name: str, share: float, rng: np.random.Generator) -> pl.DataFrame:
    """Add an experiment's arm, or a flag for exploration traffic, drawn by chance."""
    hit = rng.random(frame.height) < share
    values = np.where(hit, "B", "A").tolist() if name == "arm" else hit.tolist()
    return frame.with_columns(pl.Series(name, values))
