"""A small served system with every kind of column, answered by a rule, so that tests need no training."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path

import numpy as np
import polars as pl

from ruleout.prevention.inject import Answers, Base

CLASSES = {"binary": (0, 1), "multiclass": ("cat", "dog", "fox"), "regression": ()}


@dataclass(frozen=True)
class Rule:
    """Answers from the columns themselves."""

    task: str
    version: str = "7"
    bias: float = 0.0
    path: Path | None = None
    threshold: float = 0.5

    def raw(self, frame: pl.DataFrame) -> np.ndarray:
        """The signal (n,) that labels follow as well."""
        x = frame.select(pl.col("amount", "count", "hour").cast(pl.Float64).fill_null(0.0))
        x = x.to_numpy()
        z = 0.03 * (x[:, 0] - 50) + 0.5 * (x[:, 1] - 3) + 0.1 * np.abs(x[:, 2] - 12)
        z += 1.2 * (frame["device"].fill_null("").to_numpy() == "mobile")
        if "text" in frame.columns:
            z += 0.05 * (frame["text"].fill_null("").str.len_chars().to_numpy() - 20)
        if "vector" in frame.columns:
            z += np.array(frame["vector"].to_list())[:, 0]
        return z + self.bias

    def answer(self, frame: pl.DataFrame) -> Answers:
        z = self.raw(frame)
        if self.task == "regression":
            return Answers(z)
        p = 1 / (1 + np.exp(-2 * z))
        if self.task == "binary":
            return Answers((p >= self.threshold).astype(np.int64), np.column_stack([1 - p, p]))
        chances = np.column_stack([1 - p, p * 0.7, p * 0.3])
        return Answers(chances.argmax(axis=1), chances)


def _window(
    task: str, n: int, begin: datetime, days: int, rng: np.random.Generator
) -> pl.DataFrame:
    seconds = np.sort(rng.uniform(0, 86_400 * days, n))
    words = ["alpha", "bravo", "charlie", "delta", "echo"]
    texts = [" ".join(rng.choice(words, size=rng.integers(1, 9))) for _ in range(n)]
    frame = pl.DataFrame(
        {
            "request_id": [f"r{begin.day}-{k}" for k in range(n)],
            "ts": [begin + timedelta(seconds=float(s)) for s in seconds],
            "account_id": [f"{'A-' if k % 3 else 'b'}{k:05d}" for k in rng.integers(0, n // 4, n)],
            "host": rng.choice(["h1", "h2", "h3", "h4"], n).tolist(),
            "region": rng.choice(["north", "south"], n).tolist(),
            "amount": rng.normal(50, 20, n).round(2),
            "weight": rng.gamma(2.0, 10.0, n).round(2),
            "count": rng.poisson(3, n),
            "hour": (seconds / 3600 % 24).astype(np.int64),
            "device": rng.choice(["mobile", "desktop", "tablet"], n, p=[0.3, 0.5, 0.2]).tolist(),
            "member": rng.random(n) < 0.5,
            "text": texts,
            "vector": rng.normal(size=(n, 6)).round(3).tolist(),
        }
    )
    z = Rule(task).raw(frame) + rng.normal(0, 0.3, n)
    if task == "regression":
        return frame.with_columns(pl.Series("y", z))
    codes = (z > 0).astype(int) + (task == "multiclass") * ((z > 1.2).astype(int))
    return frame.with_columns(pl.Series("y", [CLASSES[task][k] for k in codes]))


@cache
def system(task: str = "binary", n: int = 900, seed: int = 3) -> Base:
    """A healthy system; the same seed gives the same rows."""
    rng = np.random.default_rng(seed)
    begin = datetime(2026, 3, 2, tzinfo=UTC)
    reference = _window(task, n, begin, 14, rng)
    current = _window(task, n, begin + timedelta(days=14), 3, rng)
    model = Rule(task)
    return Base(
        name="toy",
        subject="toy model",
        task=task,
        metric="mae" if task == "regression" else "accuracy",
        reference=reference,
        current=current,
        pool=_window(task, n, begin + timedelta(days=14), 3, rng),
        features=("amount", "weight", "count", "hour", "device", "member", "text", "vector"),
        numeric=("amount", "weight", "count", "hour"),
        categorical=("device", "member"),
        target="y",
        classes=CLASSES[task],
        model=model,
        fit=lambda _frame, version="8", **_options: Rule(task, version, bias=0.8),
        train=reference,
        nature=lambda frame: (
            model.answer(frame).chances if task != "regression" else model.raw(frame)
        ),
        importance={"amount": 0.3, "count": 0.4, "device": 0.3, "hour": 0.1},
        segments=("region", "host"),
        sources={"payments": ("amount", "weight"), "velocity": ("count",), "web": ("device",)},
        hours={"hour": "hour"},
        counts=("count",),
        text="text",
        embedding="vector",
    )
