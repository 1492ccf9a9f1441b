"""What tests of every room may ask for."""

from __future__ import annotations

import atexit
import os
import sys
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def data_folder() -> Path:
    """The folder of real data sets: `RULEOUT_DATA`, by default `../shared/data` beside the checkout."""
    folder = Path(os.environ.get("RULEOUT_DATA") or Path(__file__).parents[2] / "shared" / "data")
    if not folder.is_dir():
        pytest.skip(f"the real data sets are not at {folder}; set RULEOUT_DATA")
    return folder


@atexit.register
def _mute_the_bindings() -> None:
    """Keep DuckDB from listing, at exit, what it leaks after an error; pytest's summary comes last."""
    if "duckdb" in sys.modules:
        sys.stderr.flush()
        os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
