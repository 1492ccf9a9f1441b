"""Generated worlds: card fraud, deliveries, and a sensor line, with actors, clocks and aggregates."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import polars as pl
from numpy.typing import NDArray

from ruleout.bench.corpus._dataset import DataSet, data_set


def _pick(
    rng: np.random.Generator, names: list[str], shares: list[float], n: int
) -> NDArray[np.object_]:
    weights = np.array(shares) / np.sum(shares)
    return np.array(names, dtype=object)[rng.choice(len(names), size=n, p=weights)]


@data_set("card_fraud")
def card_fraud() -> DataSet:
    """Card payments: actors, devices, counts over windows, money, a clock."""
    return DataSet(
        "card_fraud",
        "fraud model",
        "binary",
        ("roc_auc", "recall", "precision", "f1", "log_loss"),
        _payments(60_000, 5),
        ("amount", "tx_count_24h", "spend_24h", "account_age_days", "distance_km", "hour"),
        ("device", "merchant", "country", "card_present"),
        "fraud",
        (0, 1),
        ("linear", "boosted", "forest", "neural"),
        {
            "payments": ("amount", "merchant", "card_present", "country"),
            "velocity-store": ("tx_count_24h", "spend_24h"),
            "device-service": ("device", "distance_km"),
            "accounts": ("account_age_days",),
        },
        hours={"hour": "hour"},
        counts=("tx_count_24h", "spend_24h"),
        threshold=0.4,
    )


def _payments(n: int, seed: int) -> pl.DataFrame:
    rng = np.random.default_rng(seed)
    hour = (rng.normal(14, 5, n).round() % 24).astype(np.int64)
    amount = np.exp(rng.normal(3.5, 1.1, n)).round(2)
    count = rng.poisson(np.exp(rng.normal(0.7, 0.6, n)))
    spend = (count * np.exp(rng.normal(3.4, 0.6, n))).round(2)
    age = rng.gamma(1.6, 350, n).round(0).astype(np.int64)
    distance = np.maximum(np.exp(rng.normal(1.6, 1.5, n)).round(1), 0.1)
    device = _pick(rng, ["mobile", "desktop", "tablet", "pos"], [5, 3, 1, 3], n)
    merchant = _pick(
        rng,
        ["grocery", "electronics", "travel", "gaming", "fashion", "fuel"],
        [5, 2, 1, 1, 2, 2],
        n,
    )
    country = _pick(rng, ["DE", "FR", "NL", "PL", "US", "BR"], [6, 4, 2, 2, 1, 0.6], n)
    present = rng.random(n) < 0.45
    logit = (
        -3.4
        + 0.75 * (np.log(amount) - 3.5)
        + 0.55 * (count - 2)
        - 0.0022 * np.minimum(age, 900)
        + 0.55 * (np.log(distance) - 1.6)
        + 1.3 * np.isin(merchant, ["electronics", "gaming"])
        + 1.2 * np.isin(country, ["US", "BR"])
        + 0.9 * np.isin(hour, [0, 1, 2, 3, 4, 5, 23])
        - 1.1 * present
        + 0.4 * (device == "mobile")
    )
    fraud = (rng.random(n) < 1 / (1 + np.exp(-1.4 * logit))).astype(np.int64)
    return pl.DataFrame(
        {
            "amount": amount,
            "tx_count_24h": count,
            "spend_24h": spend,
            "account_age_days": age,
            "distance_km": distance,
            "hour": hour,
            "device": device.tolist(),
            "merchant": merchant.tolist(),
            "country": country.tolist(),
            "card_present": present,
            "fraud": fraud,
        }
    )


@data_set("delivery")
def delivery() -> DataSet:
    """Delivery minutes: a regression on the hour, distance, load and weather."""
    return _deliveries(50_000, 6)


def _deliveries(n: int, seed: int) -> DataSet:
    return DataSet(
        "delivery",
        "delivery time model",
        "regression",
        ("mae", "rmse"),
        _orders(n, seed),
        (
            "hour_of_order",
            "distance_km",
            "open_orders",
            "couriers_free",
            "temperature_c",
            "weight_kg",
        ),
        ("raining", "kitchen"),
        "minutes",
        (),
        ("linear", "boosted", "forest"),
        {
            "dispatch": ("open_orders", "couriers_free"),
            "orders": ("hour_of_order", "kitchen", "weight_kg"),
            "maps": ("distance_km",),
            "weather": ("temperature_c", "raining"),
        },
        hours={"hour_of_order": "hour"},
        counts=("open_orders", "couriers_free"),
    )


def _orders(n: int, seed: int) -> pl.DataFrame:
    rng = np.random.default_rng(seed)
    hour = (12 + 5 * rng.normal(0, 1, n)).round() % 24
    distance = rng.gamma(2.2, 1.6, n).round(2)
    open_orders = rng.poisson(6 + 10 * np.exp(-((hour - 19) ** 2) / 8), n)
    couriers = rng.poisson(12, n) + 1
    temperature = rng.normal(12, 8, n).round(1)
    rain = rng.random(n) < 0.2
    kitchen = _pick(rng, ["pizza", "sushi", "burger", "thai", "bakery"], [4, 2, 3, 2, 1], n)
    weight = np.exp(rng.normal(0.3, 0.5, n)).round(3)
    prep = {"pizza": 14.0, "sushi": 20.0, "burger": 11.0, "thai": 17.0, "bakery": 6.0}
    rush = 9 * np.exp(-((hour - 19) ** 2) / 10) + 5 * np.exp(-((hour - 12) ** 2) / 6)
    minutes = (
        np.array([prep[k] for k in kitchen])
        + 3.4 * distance
        + 14 * open_orders / couriers
        + rush
        + 6 * rain
        - 0.25 * np.minimum(temperature, 10)
        + 1.5 * weight
    ) * np.exp(rng.normal(0, 0.08, n))
    return pl.DataFrame(
        {
            "hour_of_order": hour.astype(np.int64),
            "distance_km": distance,
            "open_orders": open_orders,
            "couriers_free": couriers,
            "temperature_c": temperature,
            "raining": rain,
            "kitchen": kitchen.tolist(),
            "weight_kg": weight,
            "minutes": minutes.round(1),
        }
    )


@data_set("parcels")
def parcels() -> DataSet:
    """The deliveries with a datetime instead of an hour, behind a service that is not shipped."""
    source = _deliveries(50_000, 16)
    hours = source.frame["hour_of_order"]
    minutes = np.random.default_rng(16).integers(0, 3600, source.frame.height)
    begin = pl.datetime(2025, 9, 1, time_zone="UTC", time_unit="us")
    frame = source.frame.with_columns(pl.Series("s", hours * 3600 + minutes)).select(
        (begin + pl.duration(seconds=pl.col("s"))).alias("ordered_at"),
        pl.exclude("hour_of_order", "s"),
    )
    return replace(
        source,
        name="parcels",
        subject="parcel time model",
        frame=frame,
        numeric=("ordered_at", *source.numeric[1:]),
        models=("clocked",),
        sources={**source.sources, "orders": ("ordered_at", "kitchen", "weight_kg")},
        hours={"ordered_at": "datetime"},
    )


@data_set("credit_lines")
def credit_lines(n: int = 50_000, seed: int = 21) -> DataSet:
    """A wide table: seventy columns of which a third matter, in correlated blocks of six sources."""
    rng = np.random.default_rng(seed)
    columns: dict[str, NDArray[np.float64] | list[str]] = {}
    sources: dict[str, tuple[str, ...]] = {}
    logit = np.full(n, -0.8)
    for block, source in enumerate(("bureau", "ledger", "app", "telco", "tax", "survey")):
        common = rng.normal(size=n)
        names = []
        for k in range(10):
            z = 0.6 * common + 0.8 * rng.normal(size=n)
            name = f"{source}_{('limit', 'balance', 'age', 'ratio', 'count')[k % 5]}_{k}"
            shapes = (
                np.exp(6.5 + 0.9 * z).round(2),
                (2000 + 1500 * z).round(2),
                np.maximum(np.round(40 + 14 * z), 18),
                (1 / (1 + np.exp(-z))).round(4),
                np.maximum(np.floor(3 + 2 * z), 0),
            )
            columns[name] = shapes[k % 5]
            names.append(name)
            if k % 3 == block % 3:
                logit += (0.55 if k % 2 else -0.45) * z
        level = _pick(rng, [f"{source}-{c}" for c in "ABCD"], [4, 3, 2, 1], n)
        columns[f"{source}_tier"] = level.tolist()
        logit += 0.7 * (level == f"{source}-D") - 0.3 * (level == f"{source}-A")
        sources[source] = (*names, f"{source}_tier")
    frame = pl.DataFrame(columns)
    default = (rng.random(n) < 1 / (1 + np.exp(-logit))).astype(np.int64)
    numeric = tuple(c for c in frame.columns if frame[c].dtype == pl.Float64)
    whole = [c for c in numeric if "_count_" in c or "_age_" in c]
    return DataSet(
        "credit_lines",
        "credit model",
        "binary",
        ("accuracy", "roc_auc", "f1", "log_loss"),
        frame.with_columns(pl.col(whole).cast(pl.Int64), pl.Series("default", default)),
        numeric,
        tuple(c for c in frame.columns if c not in numeric),
        "default",
        (0, 1),
        ("linear", "boosted", "forest"),
        sources,
        counts=tuple(c for c in numeric if "_count_" in c or "_balance_" in c),
    )


@data_set("sensor_line")
def sensor_line(n: int = 50_000, seed: int = 8) -> DataSet:
    """Machine states from sensors: four classes, numbers and codes."""
    rng = np.random.default_rng(seed)
    state = rng.choice(4, size=n, p=[0.55, 0.2, 0.15, 0.1])
    machine = _pick(rng, ["press", "lathe", "mill"], [3, 2, 2], n)
    base = {"press": 4.0, "lathe": 1.0, "mill": 2.2}
    offset = np.array([base[m] for m in machine])
    temp = 55 + 9 * (state == 1) + 3 * (state == 3) + 2.5 * offset + rng.normal(0, 4, n)
    vibration = np.exp(
        0.3 * offset + 0.7 * (state == 2) + 0.35 * (state == 3) + rng.normal(0, 0.35, n)
    )
    current = 14 + 1.4 * offset - 4 * (state == 3) + 1.8 * (state == 1) + rng.normal(0, 1.6, n)
    pressure = 230 - 22 * (state == 2) + 8 * (state == 1) + rng.normal(0, 12, n)
    parts = rng.poisson(np.where(state == 0, 42, 30) + 2 * offset)
    shift = _pick(rng, ["early", "late", "night"], [3, 3, 2], n)
    names = ("normal", "overheat", "imbalance", "power_fault")
    frame = pl.DataFrame(
        {
            "temperature": temp.round(1),
            "vibration": vibration.round(3),
            "current": current.round(2),
            "pressure": pressure.round(0).astype(np.int64),
            "parts_per_hour": parts,
            "machine": machine.tolist(),
            "shift": shift.tolist(),
            "state": [names[k] for k in state],
        }
    )
    return DataSet(
        "sensor_line",
        "machine state classifier",
        "multiclass",
        ("accuracy", "macro_f1", "log_loss"),
        frame,
        ("temperature", "vibration", "current", "pressure", "parts_per_hour"),
        ("machine", "shift"),
        "state",
        names,
        ("linear", "boosted", "forest", "neural"),
        {
            "plc": ("temperature", "current", "pressure"),
            "vibration-gateway": ("vibration",),
            "mes": ("parts_per_hour", "machine", "shift"),
        },
        counts=("parts_per_hour",),
    )
