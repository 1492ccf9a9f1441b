"""What the adapters share: a folder a line in, a line of guesses out. Runs in the peer's own environment."""

import json
import resource
import sys
import traceback
import warnings
from pathlib import Path

import pandas as pd

ROWS = 20_000
CALM = ["random_fluctuation", "none", []]


def frames(folder):
    """The two windows (at most ROWS rows each, evenly) and the roles of their columns."""
    roles = json.loads((folder / "roles.json").read_text(encoding="utf-8"))
    both = [pd.read_parquet(folder / f"{w}.parquet") for w in ("reference", "current")]
    step = [max(1, len(f) // ROWS) for f in both]
    reference, current = (f.iloc[::s].reset_index(drop=True) for f, s in zip(both, step))
    return reference, current, roles


def tabular(roles, *frames):
    """Names of the numeric and categorical inputs that are in all frames."""
    here = set.intersection(*(set(f.columns) for f in frames))
    return [c for c in roles["numeric"] if c in here], [
        c for c in roles["categorical"] if c in here
    ]


def answer(guess):
    """Read folders from standard input; write what `guess(folder)` says, one JSON list a line."""
    out = sys.stdout
    sys.stdout = sys.stderr  # a peer's own prints must not mix with the answers
    warnings.simplefilter("ignore")
    for line in sys.stdin:
        try:
            told = json.dumps(guess(Path(line.strip())))
        except Exception as error:  # noqa: BLE001 - whatever a peer raises is no answer
            traceback.print_exc()
            told = f"{type(error).__name__}: {error}".replace("\n", " ")
        out.write(told + "\n")
        out.flush()


def timed(tell):
    """`tell(folder)` with the CPU seconds it took, its children's too."""

    def seconds():
        used = [resource.getrusage(w) for w in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
        return sum(u.ru_utime + u.ru_stime for u in used)

    def told(folder):
        started = seconds()
        answer = tell(folder)
        return {"answer": answer, "seconds": seconds() - started}

    return told
