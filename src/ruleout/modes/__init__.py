"""The failure modes and null hypotheses, as data: one TOML file each, beside this module."""

from ruleout.modes._catalogue import catalogue
from ruleout.modes._load import Mode, ModeRemedy, called, load, mode

__all__ = ["Mode", "ModeRemedy", "called", "catalogue", "load", "mode"]
