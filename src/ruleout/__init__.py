"""Differential diagnosis for failing AI systems."""

__version__ = "0.1.0"
