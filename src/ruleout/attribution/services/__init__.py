"""Root causes from metrics, traces, logs and changes."""

from ruleout.attribution.services._analyse import analyse
from ruleout.attribution.services._records import ServiceHypothesis, ServicesResult, Signal

__all__ = ["ServiceHypothesis", "ServicesResult", "Signal", "analyse"]
