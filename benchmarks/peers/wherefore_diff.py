"""wherefore 0.4: served features against the parity probe, joined by key, columns by share of mismatches.

It compares rows of the same key, so it answers only where there is a parity probe. Mapping of its patterns:
enum_drift -> category_recode, float_precision -> precision_loss, timezone_shift -> time_shift, truncation ->
context_truncation, null_type_coercion -> silent_nulls, encoding_mismatch -> schema_change, dedup_failure ->
join_fanout, key_mismatch -> join_loss; a mismatch without a pattern names the column alone. Without the
language model that its own reports call: its patterns do not need one.
"""

import pandas as pd
from _lines import CALM, answer, frames
from wherefore.clustering.cluster_mismatches import cluster_mismatches
from wherefore.comparison.diff_engine import compare

MODES = {
    "enum_drift": "category_recode",
    "float_precision": "precision_loss",
    "timezone_shift": "time_shift",
    "truncation": "context_truncation",
    "null_type_coercion": "silent_nulls",
    "encoding_mismatch": "schema_change",
    "dedup_failure": "join_fanout",
    "key_mismatch": "join_loss",
}


def guess(folder):
    path = folder / "offline.parquet"
    _, current, roles = frames(folder)
    key = roles["id"]
    if not path.is_file() or key not in current.columns:
        return []
    offline = pd.read_parquet(path)
    served = pd.read_parquet(folder / "current.parquet").drop_duplicates(key)
    columns = [key, *(c for c in offline.columns if c in served.columns and c != key)]
    served = served[served[key].isin(offline[key])]
    told = compare(offline[columns].drop_duplicates(key), served[columns], key, rel_tol=1e-6)
    clusters = sorted(cluster_mismatches(told), key=lambda c: -len(c.mismatches))
    named = []
    for cluster in clusters:
        sure = sorted(cluster.candidate_patterns, key=lambda m: -m.confidence)
        found = [MODES.get(m.pattern_id) for m in sure]
        named.append([found[0] if found else None, "feature", [cluster.column]])
    return named or [CALM]


answer(guess)
