"""Incidents to try `ruleout` on: generated, lifelike, and written out as folders to open and edit."""

from ruleout.bench.demos._story import farewell, introduction
from ruleout.bench.demos._write import DEMOS, write

__all__ = ["DEMOS", "farewell", "introduction", "write"]
