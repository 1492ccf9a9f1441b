"""Models that can be replayed: loading them, and one way to ask them."""

from ruleout.sources.models._base import Model, Prediction
from ruleout.sources.models._load import load_model

__all__ = ["Model", "Prediction", "load_model"]
