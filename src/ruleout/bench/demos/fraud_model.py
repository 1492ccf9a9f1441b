"""The bank's fraud model: how likely a card payment is fraud.

`ruleout demo fraud` copies this file into the incident's folder, beside its weights, so that the model can
be replayed and taken apart: `python:fraud_model:score` in `incident.yaml`.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    import polars as pl

Floats = NDArray[np.float64]
RISKY = ("electronics", "gaming", "gift cards")


def score(rows: pl.DataFrame) -> Floats:
    """Probability of fraud (n,) for rows with the columns of `incident.yaml`."""
    text = (Path(__file__).parent / "fraud_weights.json").read_text(encoding="utf-8")
    return classify(rows, np.array(json.loads(text)["weights"]))


def classify(rows: pl.DataFrame, weights: Floats) -> Floats:
    """Probability of fraud (n,) under the given weights (d,)."""
    return np.asarray(1 / (1 + np.exp(-(see(rows) @ weights))))


def see(rows: pl.DataFrame) -> Floats:
    """What the model sees of each payment, (n, d)."""

    def number(name: str) -> Floats:
        return rows[name].cast(float).fill_null(0.0).to_numpy()

    ratio = np.log((number("amount") + 1) / (number("customer_mean_amount") + 1))
    risky = rows["merchant_category"].is_in(RISKY).to_numpy().astype(float)
    new_device = number("device_age_days") < 2
    return np.column_stack(
        [
            np.ones(rows.height),
            ratio,
            np.maximum(ratio - 1, 0),
            np.log1p(number("amount")),
            risky,
            new_device,
            new_device * risky,
            np.log1p(number("payments_24h")),
            np.log1p(number("ip_distance_km")) / 4,
            number("email_age_days") < 30,
            rows["channel"].eq("in_store").fill_null(value=False).to_numpy(),
        ]
    )
