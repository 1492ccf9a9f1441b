"""Root causes from metrics, traces, logs and changes."""

from ruleout.attribution.services._analyse import analyse
from ruleout.attribution.services._blame import HEAT, odds_of
from ruleout.attribution.services._rank import TEMPERATURE, UNKNOWN, entity_scores, probabilities
from ruleout.attribution.services._records import Null, ServiceHypothesis, ServicesResult, Signal
from ruleout.attribution.services._windows import settle_windows

__all__ = [
    "HEAT",
    "TEMPERATURE",
    "UNKNOWN",
    "Null",
    "ServiceHypothesis",
    "ServicesResult",
    "Signal",
    "analyse",
    "entity_scores",
    "odds_of",
    "probabilities",
    "settle_windows",
]
