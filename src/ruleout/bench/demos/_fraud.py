"""`ruleout demo fraud`: precision falls, adversaries are suspected, a pipeline error did it.

One of three payment processors moves to a new API that states amounts in cents. The same week has a real
report of a fraud ring, a busier season and a new release of the model, none of which did it.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import polars as pl

from ruleout.bench.demos import fraud_model as model
from ruleout.bench.demos._scene import (
    Floats,
    Rng,
    draw,
    instant,
    logistic,
    rhythm,
    sigmoid,
    times,
    write_text,
)

_MIGRATION = "2026-11-10T09:15:00"
_PROCESSORS = {"kordis": 51, "unibridge": 37, "paylane": 12}
_COUNTRIES = {"DE": 34, "FR": 21, "NL": 14, "ES": 13, "PL": 11, "GB": 7}
_CHANNELS = {"web": 44, "app": 38, "in_store": 18}
_MERCHANTS = {
    "groceries": 30,
    "fashion": 22,
    "electronics": 15,
    "travel": 11,
    "fuel": 10,
    "gaming": 8,
    "gift cards": 4,
}
_SEASON = {**_MERCHANTS, "groceries": 25, "gaming": 13}
_TYPICAL = {
    "groceries": 34.0,
    "fashion": 58.0,
    "electronics": 140.0,
    "travel": 230.0,
    "fuel": 52.0,
    "gaming": 38.0,
    "gift cards": 60.0,
}
_THRESHOLD = 0.5


def write(folder: Path, seed: int) -> None:
    """Write the incident's tables, model, golden cases, changes and `incident.yaml` into `folder`."""
    rng = np.random.default_rng([seed, 2])
    training = _payments(rng, "2026-09-01", 30, 30_000, _MERCHANTS)
    truth = training["is_fraud"].to_numpy().astype(float)
    weights = logistic(model.see(training), truth)
    saved = {"version": "12", "weights": weights.tolist()}
    write_text(folder, "fraud_weights.json", json.dumps(saved, indent=1) + "\n")
    shutil.copy(Path(model.__file__), folder / "fraud_model.py")
    for name, start, days, rows, mix in (
        ("reference", "2026-10-27", 14, 14_000, _MERCHANTS),
        ("current", "2026-11-10", 4, 5_000, _SEASON),
    ):
        _served(_payments(rng, start, days, rows, mix), weights).write_parquet(
            folder / f"{name}.parquet"
        )
    _golden(training, weights).write_parquet(folder / "known_fraud.parquet")
    write_text(folder, "changes.csv", _CHANGES)
    write_text(folder, "incident.yaml", INCIDENT)


def _payments(rng: Rng, start: str, days: int, rows: int, mix: Mapping[str, float]) -> pl.DataFrame:
    """Payments with true amounts, and whether they turned out to be fraud."""
    at = rhythm(rng, instant(start), days, rows)
    merchant = draw(rng, mix, rows)
    usual = np.array([_TYPICAL[m] for m in merchant]) * np.exp(rng.normal(0, 0.45, rows))
    fraud_try = rng.random(rows) < 0.07 + 0.05 * np.isin(merchant, model.RISKY)
    amount = usual * np.exp(rng.normal(0, 0.5, rows) + fraud_try * rng.normal(1.5, 0.6, rows))
    device_age = np.floor(rng.exponential(280, rows)) * (
        rng.random(rows) > np.where(fraud_try, 0.7, 0.05)
    )
    channel = draw(rng, _CHANNELS, rows)
    frame = pl.DataFrame(
        {
            "payment_id": [f"p{n:08d}" for n in rng.choice(90_000_000, size=rows, replace=False)],
            "ts": times(at),
            "amount": np.round(amount, 2),
            "customer_mean_amount": np.round(usual * np.exp(rng.normal(0, 0.2, rows)), 2),
            "merchant_category": merchant,
            "channel": channel,
            "payments_24h": rng.poisson(np.where(fraud_try, 4.5, 1.2)),
            "device_age_days": device_age,
            "email_age_days": np.floor(rng.exponential(np.where(fraud_try, 200, 900))),
            "ip_distance_km": np.round(rng.lognormal(np.where(fraud_try, 4.6, 2.2), 1.3), 1),
            "country": draw(rng, _COUNTRIES, rows),
            "processor": draw(rng, _PROCESSORS, rows),
            "device_id": _devices(rng.spawn(1)[0], rows),
            "reviewed_at": times(at + rng.uniform(900, 7 * 3600, rows)),
        }
    )
    return frame.with_columns(pl.Series("is_fraud", _outcome(frame, fraud_try, rng)))


def _devices(rng: Rng, rows: int) -> list[str]:
    """Who pays: 1,200 devices, few of them busy; fraud is spread over them as payments are."""
    busy = 1 / (10.0 + np.arange(1200))
    return [f"d{n:05d}" for n in rng.choice(1200, size=rows, p=busy / busy.sum())]


def _outcome(
    frame: pl.DataFrame, tried: np.ndarray[tuple[int], np.dtype[np.bool_]], rng: Rng
) -> Floats:
    """1 where a payment was fraud: most attempts succeed, few in a shop with the card present."""
    in_store = frame["channel"].eq("in_store").to_numpy()
    chance = sigmoid(np.where(tried, 2.6, -6.5) - np.where(in_store, 1.5, 0.0))
    return np.asarray((rng.random(frame.height) < chance).astype(np.int8))


def _served(payments: pl.DataFrame, weights: Floats) -> pl.DataFrame:
    """What the service logged: amounts as they arrived, scores and decisions on them."""
    arrived = pl.when(
        (pl.col("processor") == "paylane")
        & (pl.col("ts") >= pl.lit(_MIGRATION + "Z").str.to_datetime("%Y-%m-%dT%H:%M:%S%#z"))
    )
    logged = payments.with_columns(
        arrived.then(pl.col("amount") * 100).otherwise(pl.col("amount")).round(2)
    )
    score = model.classify(logged, weights)
    return logged.with_columns(
        pl.Series("p_fraud", score), pl.Series("blocked", (score >= _THRESHOLD).astype(np.int8))
    )


def _golden(training: pl.DataFrame, weights: Floats) -> pl.DataFrame:
    """Known fraud with the scores stored at release, and the scores served for it this morning."""
    known = training.filter(pl.col("is_fraud") == 1).head(250).drop("reviewed_at", "is_fraud")
    score = model.classify(known, weights)
    return known.with_columns(pl.Series("expected_score", score), pl.Series("served_score", score))


_CHANGES = """
    timestamp,kind,entity,description,ref
    2026-10-29T10:12:00Z,deploy,case-management,New review queue for analysts,cases@1.44
    2026-11-03T08:20:00Z,config,rules-engine,Retire two velocity rules that never fire,rules#713
    2026-11-09T14:00:00Z,model,fraud-model,Version 12: same weights on a new base image,fraud@12.1
    2026-11-10T09:15:00Z,deploy,paylane-connector,Move to API v3 (money as integer amounts),connectors@8.0.0
    2026-11-10T16:40:00Z,calendar,fraud-intelligence,Bulletin: a card-testing ring targets gaming merchants,
    2026-11-11T00:00:00Z,calendar,shops,Singles' Day,
    2026-11-12T07:30:00Z,scale,scoring-service,Two more replicas before the weekend,scoring#402
"""

INCIDENT = """
    version: 1
    title: Fraud blocks hit honest customers; a fraud ring is suspected
    task: binary

    symptom:
      metric: precision
      noticed_at: 2026-11-14T09:00:00Z

    data:
      reference: reference.parquet
      current: current.parquet
      columns:
        id: payment_id
        timestamp: ts
        target: is_fraud              # the analysts' verdict
        label_available_at: reviewed_at
        prediction: blocked
        score: p_fraud
        positive: 1
        features: [amount, customer_mean_amount, merchant_category, channel, payments_24h,
                   device_age_days, email_age_days, ip_distance_km]
        segments: [processor, country]
      sources:
        payment-connectors: [amount, merchant_category, channel]
        profile-store: [customer_mean_amount, payments_24h, email_age_days]
        device-service: [device_age_days, ip_distance_km]

    models:                           # Python code: replayed only with --trust-model
      current: {uri: "python:fraud_model:score", version: "12.1", deployed_at: 2026-11-09T14:00:00Z, threshold: 0.5}

    probes:
      golden: {inputs: known_fraud.parquet, expected: expected_score}   # 250 cases of known fraud

    changes: changes.csv

    impact: {currency: EUR, per_false_positive: 18.0, per_false_negative: 240.0}
"""
