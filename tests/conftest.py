"""What tests of every room may ask for."""

from __future__ import annotations

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


def pytest_unconfigure() -> None:
    """Keep DuckDB's bindings from listing, at exit, what they leak after an error; pytest's summary comes last."""
    if "duckdb" in sys.modules:
        sys.stderr.flush()
        os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
