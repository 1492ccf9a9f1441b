"""Slow models: the time that requests lost, parted by machine, queue, amount of work and runtime."""

from ruleout.attribution.latency._ladder import Ladder, Suspect, ladder

__all__ = ["Ladder", "Suspect", "ladder"]
