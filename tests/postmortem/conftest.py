"""Lets the tests of the report import the diagnoses that stand beside them, in every import mode."""

import sys
from pathlib import Path

sys.path.append(str(Path(__file__).parent))
