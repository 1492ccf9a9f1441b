"""`ruleout demo nulls`: a connector silently sends nulls and a sentinel, and the model is blamed.

The secret of the CRM connector was rotated; since then it answers with success and empty fields for the
accounts of one CRM instance. A new version of the churn model went live the day before.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl

from ruleout.bench.demos._scene import (
    Floats,
    Mask,
    Rng,
    draw,
    instant,
    logistic,
    rhythm,
    sigmoid,
    times,
    write_text,
)

_ROTATION = "2026-11-05T06:40:00"
_COUNTRIES = {"DE": 27, "FR": 19, "IT": 14, "ES": 12, "US": 21, "CA": 7}
_EMPTIED = ("DE", "FR")
"""Countries whose accounts live in the CRM instance that no longer answers."""

_EMPTY = {"support_tickets_90d": None, "days_since_contact": -1, "satisfaction": None}
"""What the connector makes of a field that it could not read."""

_PLANS = {"basic": 45, "standard": 37, "premium": 18}
_PAYMENTS = {"card": 55, "direct debit": 30, "wallet": 15}
_FEES = {"basic": 8.99, "standard": 13.99, "premium": 18.99}
_THRESHOLD = 0.35


def write(folder: Path, seed: int) -> None:
    """Write the incident's tables, changes and `incident.yaml` into `folder`."""
    rng = np.random.default_rng([seed, 3])
    training = _accounts(rng, "2026-09-01", 30, 20_000)
    weights = logistic(_see(training), training["churned"].to_numpy().astype(float))
    for name, start, days, rows in (
        ("reference", "2026-10-21", 14, 13_000),
        ("current", "2026-11-05", 4, 4_200),
    ):
        _served(_accounts(rng, start, days, rows), weights).write_parquet(
            folder / f"{name}.parquet"
        )
    write_text(folder, "changes.csv", _CHANGES)
    write_text(folder, "incident.yaml", INCIDENT)


def _accounts(rng: Rng, start: str, days: int, rows: int) -> pl.DataFrame:
    """Accounts on the day they were scored, and whether they left within the test period."""
    mood = rng.normal(0, 1, rows)
    use = rng.normal(0, 1, rows)
    plan = draw(rng, _PLANS, rows)
    tenure = np.floor(rng.gamma(1.6, 14, rows)) + 1
    tickets = rng.poisson(np.exp(0.1 - 0.75 * mood))
    contact = np.floor(rng.exponential(np.exp(3.6 + 0.5 * mood))) + 1
    risk = -2.0 - 0.9 * mood - 1.5 * use - 0.5 * np.log1p(tenure / 12) + 0.2 * tickets
    frame = pl.DataFrame(
        {
            "account_id": [f"a{n:07d}" for n in rng.choice(9_000_000, size=rows, replace=False)],
            "scored_at": times(rhythm(rng, instant(start), days, rows, weekend=1.0)),
            "country": draw(rng, _COUNTRIES, rows),
            "plan": plan,
            "tenure_months": tenure.astype(np.int64),
            "monthly_fee": np.array([_FEES[p] for p in plan]),
            "payment_method": draw(rng, _PAYMENTS, rows),
            "logins_30d": rng.poisson(np.exp(2.2 + 0.45 * use)),
            "hours_watched_30d": np.round(np.exp(2.4 + 0.6 * use + rng.normal(0, 0.3, rows)), 1),
            "support_tickets_90d": tickets,
            "days_since_contact": contact.astype(np.int64),
            "satisfaction": np.clip(
                np.round(7 + 1.8 * mood + rng.normal(0, 0.7, rows)), 0, 10
            ).astype(np.int64),
        }
    )
    return frame.with_columns(
        pl.Series("churned", (rng.random(rows) < sigmoid(risk)).astype(np.int8))
    )


def _see(rows: pl.DataFrame) -> Floats:
    """What the model sees of each account, (n, d); it fills gaps by no ticket and a satisfaction of 8."""
    return np.column_stack(
        [
            np.ones(rows.height),
            np.log1p(rows["tenure_months"].to_numpy() / 12),
            np.log1p(rows["logins_30d"].to_numpy()),
            np.log1p(rows["hours_watched_30d"].to_numpy()),
            rows["support_tickets_90d"].fill_null(0).to_numpy(),
            np.log1p(rows["days_since_contact"].clip(0).to_numpy()),
            rows["satisfaction"].fill_null(8).to_numpy(),
            rows["plan"].eq("premium").to_numpy(),
        ]
    ).astype(np.float64)


def _served(accounts: pl.DataFrame, weights: Floats) -> pl.DataFrame:
    """What was logged: the fields as the connector delivered them, and the scores on them."""
    late: Mask = accounts["scored_at"].to_physical().to_numpy() / 1000 >= instant(_ROTATION)
    emptied = pl.Series(late & accounts["country"].is_in(_EMPTIED).to_numpy())
    logged = accounts.with_columns(
        *(
            pl.when(emptied).then(pl.lit(empty)).otherwise(pl.col(name)).cast(pl.Int64).alias(name)
            for name, empty in _EMPTY.items()
        )
    )
    score = sigmoid(_see(logged) @ weights)
    return logged.with_columns(
        pl.Series("p_churn", score), pl.Series("flagged", (score >= _THRESHOLD).astype(np.int8))
    )


_CHANGES = """
    timestamp,kind,entity,description,ref
    2026-10-23T09:40:00Z,deploy,web-player,Player 7.3 with picture in picture,player@7.3.0
    2026-10-30T06:00:00Z,data,billing-export,Nightly export moved to the new warehouse,billing#190
    2026-11-03T10:00:00Z,model,churn-model,Version 12 replaces version 11 (retrained on October),churn@12
    2026-11-05T06:40:00Z,config,crm-connector,Rotate the service account's secret,iam#5521
    2026-11-06T12:00:00Z,calendar,marketing,Half-price campaign in Germany,
    2026-11-07T08:15:00Z,deploy,events-pipeline,Upgrade the stream processor,events@3.2
"""

INCIDENT = """
    version: 1
    title: The churn model misses customers who leave, since its new version
    task: binary

    symptom:
      metric: recall
      noticed_at: 2026-11-09T07:45:00Z

    data:
      reference: reference.parquet
      current: current.parquet
      columns:
        id: account_id
        timestamp: scored_at
        target: churned
        prediction: flagged
        score: p_churn
        positive: 1
        segments: [country]
      sources:                        # which system fills which field
        crm-connector: [support_tickets_90d, days_since_contact, satisfaction]
        events-pipeline: [logins_30d, hours_watched_30d]
        billing-export: [plan, tenure_months, monthly_fee, payment_method]

    changes: changes.csv

    impact: {currency: EUR, per_false_positive: 5.0, per_false_negative: 90.0}
"""
