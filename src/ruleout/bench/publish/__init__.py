"""The benchmark's page, from the results of a run."""

from ruleout.bench.publish._page import read, write_page

__all__ = ["read", "write_page"]
