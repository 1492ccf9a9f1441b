"""A small served world whose inputs follow from each other, and ways to break it."""

from __future__ import annotations

from typing import Any

import numpy as np
import polars as pl

from ruleout.incident import from_frames
from ruleout.profile import Case, build_case

START = 1_700_000_000 - 1_700_000_000 % 86_400
DAY = 86_400.0
CITIES = ("aa", "bb", "cc", "dd", "ee")
ROLES: dict[str, Any] = {
    "timestamp": "ts",
    "target": "label",
    "prediction": "said",
    "score": "score",
    "positive": 1,
    "id": "key",
    "segments": ["region"],
}
Frames = tuple[pl.DataFrame, pl.DataFrame]


def served(frame: pl.DataFrame) -> pl.DataFrame:
    """The rows with what the model answers for them; it knows no missing values."""
    city = frame["city"].replace_strict(
        dict(zip(CITIES, (1.5, -1.5, 0.5, -0.5, 0.0), strict=True)), default=0.0
    )
    margin = (
        0.08 * (frame["income"].fill_null(0.0).to_numpy() - 40)
        - 0.15 * (frame["age"].fill_null(0.0).to_numpy() - 45)
        + 0.6 * frame["visits"].fill_null(0).to_numpy()
        - 2.4
        + city.to_numpy()
    )
    score = 1 / (1 + np.exp(-np.clip(margin, -40, 40)))
    return frame.with_columns(
        pl.Series("score", score), pl.Series("said", (score >= 0.5).astype(int))
    )


def rows(n: int, seed: int, *, start: float = START, days: float = 6) -> pl.DataFrame:
    """Rows in order of time: age and city decide income and visits in part."""
    rng = np.random.default_rng(seed)
    city = rng.choice(5, n, p=[0.3, 0.25, 0.2, 0.15, 0.1])
    age = np.clip(rng.normal(38 + 5 * city, 8), 18, 90)
    income = np.exp(rng.normal(3.0 + 0.015 * age + 0.12 * city, 0.3))
    frame = pl.DataFrame(
        {
            "ts": np.sort(start + rng.uniform(0, days * DAY, n)),
            "key": np.arange(n) + int(start),
            "age": age,
            "income": income,
            "visits": rng.poisson(2 + 0.04 * income),
            "city": np.array(CITIES)[city],
            "region": rng.choice(["north", "south", "west"], n),
        }
    ).with_columns(pl.from_epoch(pl.col("ts").cast(pl.Int64), time_unit="s"))
    frame = served(frame)
    label = (rng.random(n) < frame["score"].to_numpy()).astype(int)
    return frame.with_columns(pl.Series("label", label))


def quiet(n: int = 3000) -> Frames:
    """Six good days and the two after them, in which nothing happens."""
    return rows(n, 1), rows(n, 2, start=START + 6 * DAY, days=2)


def broken(*columns: pl.Expr | pl.Series, n: int = 3000) -> Frames:
    """The quiet world with current inputs replaced, and the model's answers to them."""
    reference, current = quiet(n)
    return reference, served(current.with_columns(*columns))


def made(frames: Frames, **more: Any) -> Case:
    """The case of two windows."""
    return build_case(from_frames(*frames, task="binary", metric="accuracy", **{**ROLES, **more}))


def late(frame: pl.DataFrame, days: float = 1.0) -> pl.Series:
    """Rows of the current window's last `days` of two."""
    return frame["ts"].dt.epoch("s") >= START + (8 - days) * DAY
