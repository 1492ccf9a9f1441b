"""Instants for people and for JSON."""

from __future__ import annotations

import math
from datetime import UTC, datetime


def iso(seconds: float) -> str:
    """Epoch seconds as ISO 8601 in UTC, to the second."""
    if not math.isfinite(seconds):
        raise ValueError(f"{seconds} is no instant; it must be finite epoch seconds")
    return datetime.fromtimestamp(round(seconds), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
