"""DoWhy 0.14: the change of the mean error divided among mechanisms, by `distribution_change` and its robust sibling.

Graph: every input -> error. The inputs' mechanisms together are the part "covariates", the error's own mechanism is
"conditional"; class balance has no place in this graph and is not answered. At most 5 inputs (those
that move most with the error), 5 orders of players; `distribution_change` gets 2,000 rows a window, for its cost, and the robust
variant all of them with its own linear models.
"""

import time

import networkx as nx
import numpy as np
import pandas as pd
from _lines import answer, timed
from dowhy import gcm

ROWS, INPUTS = 2_000, 5


def orders():
    return gcm.shapley.ShapleyConfig(
        approximation_method=gcm.shapley.ShapleyApproximationMethods.PERMUTATION,
        num_permutations=5,
        n_jobs=1,
    )


def plain(graph, before, now):
    model = gcm.ProbabilisticCausalModel(graph)
    gcm.auto.assign_causal_mechanisms(model, before, quality=gcm.auto.AssignmentQuality.GOOD)
    return gcm.distribution_change(
        model,
        before,
        now,
        "error",
        num_samples=1_000,
        difference_estimation_func=lambda a, b: float(np.mean(b) - np.mean(a)),
        shapley_config=orders(),
    )


def robust(graph, before, now):
    return gcm.distribution_change_robust(
        gcm.ProbabilisticCausalModel(graph),
        before,
        now,
        "error",
        shapley_config=orders(),
    )


def tell(folder):
    tables = [pd.read_parquet(folder / f"{w}.parquet") for w in ("reference", "current")]
    for table in tables:
        table["error"] = (table.label_ != table.said_).astype(float)
    inputs = [c for c in tables[0] if c.startswith("x") and tables[0][c].std() > 0]
    both = pd.concat(tables)
    strength = {c: abs(np.nan_to_num(both[c].corr(both["error"]))) for c in inputs}
    inputs = sorted(inputs, key=lambda c: -strength[c])[:INPUTS]
    tables = [t[[*inputs, "error"]].fillna(t.median()) for t in tables]
    some = [t.sample(min(ROWS, len(t)), random_state=0).reset_index(drop=True) for t in tables]
    graph = nx.DiGraph([(c, "error") for c in inputs])
    out = {}
    for name, way, rows in (
        ("DoWhy distribution_change", plain, some),
        ("DoWhy distribution_change_robust", robust, tables),
    ):
        gcm.util.general.set_random_seed(0)
        started = time.process_time()
        shares = way(graph, *rows)
        out[name] = {
            "covariates": -float(sum(v for k, v in shares.items() if k != "error")),
            "conditional": -float(shares["error"]),
            "seconds": time.process_time() - started,
        }
    return out


gcm.config.disable_progress_bars()
gcm.config.set_default_n_jobs(1)
answer(timed(tell))
