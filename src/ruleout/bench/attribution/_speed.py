"""CPU seconds of a decomposition at a size that production has."""

from __future__ import annotations

import time
from collections.abc import Sequence

import numpy as np
import polars as pl

from ruleout.attribution import decompose
from ruleout.bench.attribution._cases import Case, incident_of
from ruleout.bench.attribution._peers import Peer
from ruleout.bench.attribution._shares import write_case
from ruleout.profile import build_case
from ruleout.stats._boosting import sigmoid

ROWS, COLUMNS = 100_000, 20


def run(seed: int, peers: Sequence[Peer] = (), *, rows: int = ROWS) -> pl.DataFrame:
    """One row for each method, on the same two windows of `rows` rows whose inputs moved."""
    case = _case(np.random.default_rng(seed), rows)
    started = time.process_time()
    told = decompose(build_case(incident_of(case)))
    used = time.process_time() - started
    parts = "nothing" if told is None else "parts, inputs and their intervals"
    out = [{"method": "ruleout", "told": parts, "rows a window": rows, "CPU s": used}]
    for peer in peers:
        said = peer.ask(lambda folder: write_case(case, folder))
        out += [
            {
                "method": method,
                "told": "two parts",
                "rows a window": rows,
                "CPU s": parts["seconds"],
            }
            for method, parts in (said.answer or {}).items()
        ]
    return pl.DataFrame(out)


def _case(rng: np.random.Generator, rows: int) -> Case:
    """Windows of 20 inputs, of which one that goes with the error moved."""
    names = tuple(f"x{k}" for k in range(COLUMNS))
    frames = []
    for moved in (0.0, 0.4):
        x = rng.normal(size=(rows, COLUMNS))
        x[:, 0] += moved
        score = sigmoid(1.5 * x[:, 1] - x[:, 2])
        wrong = rng.random(rows) < sigmoid(x[:, 0] - 1.5)
        said = (score > 0.5).astype(np.int64)
        frames.append(
            pl.DataFrame(x, schema=names).with_columns(
                label_=np.where(wrong, 1 - said, said), said_=said, score_=score
            )
        )
    return Case("made", "covariates", frames[0], frames[1], names, {}, {})
