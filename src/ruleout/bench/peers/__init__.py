"""Baselines and other products on the same incidents, for the same table."""

from ruleout.bench.peers._baselines import Guess, baselines
from ruleout.bench.peers._run import answered, run_baselines, run_peer

__all__ = ["Guess", "answered", "baselines", "run_baselines", "run_peer"]
