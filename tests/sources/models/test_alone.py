import subprocess
import sys

import pytest

from ruleout._errors import MissingExtra
from ruleout.sources.models._alone import alone

_COPY = """
import sys
from ruleout.sources.models._alone import alone
copy = alone("lightgbm", extra="lightgbm", without=frozenset({"sklearn", "dask"}))
assert "sklearn" not in sys.modules and "lightgbm" not in sys.modules
import lightgbm
assert lightgbm.LGBMClassifier().get_params()["n_estimators"] == 100
assert alone("lightgbm", extra="lightgbm", without=frozenset({"sklearn"})) is lightgbm
"""


def test_a_copy_spares_what_it_can_and_leaves_the_library_whole_for_others() -> None:
    """A library imported alone brings no wrappers along, and whoever imports it afterwards gets them."""
    done = subprocess.run(
        [sys.executable, "-c", _COPY], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


def test_a_library_that_is_not_there_names_its_extra() -> None:
    with pytest.raises(MissingExtra, match=r"ruleout\[rare\]"):
        alone("no_such_library_here", extra="rare", without=frozenset({"nothing_either"}))
