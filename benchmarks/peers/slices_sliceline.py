"""sliceline 0.3: slices of the current rows with a high error, five at most, up to three predicates.

A predicate of sliceline is one bin, and it compares nothing with the past: it is given the current errors alone.
"""

import numpy as np
import pandas as pd
from _lines import answer, timed
from sliceline.slicefinder import Slicefinder


def tell(folder):
    table = pd.read_parquet(folder / "current.parquet")
    names = [c for c in table if c.startswith("b")]
    finder = Slicefinder(alpha=0.95, k=5, max_l=3, min_sup=150, verbose=False)
    finder.fit(table[names].to_numpy(), table["error"].to_numpy())
    return [
        {names[k][1:]: [int(v), int(v)] for k, v in enumerate(found) if v is not None}
        for found in np.asarray(finder.top_slices_)
    ]


answer(timed(tell))
