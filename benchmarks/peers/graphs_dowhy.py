"""DoWhy 0.14: the change of a mean divided among the mechanisms of a graph, by `distribution_change` and its robust sibling.

Mechanisms are assigned automatically (quality "good"), Shapley values are exact. Both get 3,000 rows a window, for their cost.
"""

import json
import time

import networkx as nx
import numpy as np
import pandas as pd
from _lines import answer, timed
from dowhy import gcm

ROWS = 3_000


def exact():
    return gcm.shapley.ShapleyConfig(
        approximation_method=gcm.shapley.ShapleyApproximationMethods.EXACT, n_jobs=1
    )


def plain(graph, before, now):
    model = gcm.ProbabilisticCausalModel(graph)
    gcm.auto.assign_causal_mechanisms(model, before, quality=gcm.auto.AssignmentQuality.GOOD)
    return gcm.distribution_change(
        model,
        before,
        now,
        "y",
        num_samples=3_000,
        difference_estimation_func=lambda a, b: float(np.mean(b) - np.mean(a)),
        shapley_config=exact(),
    )


def robust(graph, before, now):
    return gcm.distribution_change_robust(
        gcm.ProbabilisticCausalModel(graph), before, now, "y", shapley_config=exact()
    )


def tell(folder):
    tables = [pd.read_parquet(folder / f"{w}.parquet").head(ROWS) for w in ("reference", "current")]
    graph = nx.DiGraph(json.loads((folder / "edges.json").read_text(encoding="utf-8")))
    out = {}
    for name, way in (
        ("DoWhy distribution_change", plain),
        ("DoWhy distribution_change_robust", robust),
    ):
        gcm.util.general.set_random_seed(0)
        started = time.process_time()
        shares = way(graph, *tables)
        out[name] = {
            **{node: float(value) for node, value in shares.items()},
            "seconds": time.process_time() - started,
        }
    return out


gcm.config.disable_progress_bars()
gcm.config.set_default_n_jobs(1)
answer(timed(tell))
