"""From log-odds to probabilities that come true as often as they say."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ruleout._errors import IncidentError
from ruleout.hypotheses._weights import CALIBRATION, own_folder


@dataclass(frozen=True, slots=True)
class Calibration:
    """Three numbers, the same for every hypothesis, so that equals stay equal and the order stays.

    Temperature scaling (Guo et al. 2017) over the hypotheses and "something else", whose own log-odds are
    fitted too, and a lapse: the share of incidents that are none of what the evidence seems to say.
    """

    temperature: float = 1.0
    unknown: float = 0.0
    """Log-odds of "something else"."""

    lapse: float = 0.0
    """Probability kept for "something else" whatever the evidence."""

    def spread(self, logits: NDArray[np.float64]) -> tuple[NDArray[np.float64], float]:
        """Probabilities (n,) of hypotheses from their log-odds (n,), and the mass on "something else"."""
        scaled = np.append(logits, self.unknown) / self.temperature
        share = np.exp(scaled - scaled.max())
        share *= (1.0 - self.lapse) / share.sum()
        return share[:-1], float(share[-1]) + self.lapse


PLAIN = Calibration()


def load_calibration() -> Calibration:
    """The calibration in force: the user's own (see `load_weights`), else the shipped one."""
    return _read(own_folder())


@cache
def _read(own: Path | None) -> Calibration:
    if own is not None and (own / CALIBRATION).is_file():
        return _parse((own / CALIBRATION).read_text(encoding="utf-8"), str(own / CALIBRATION))
    shipped = files("ruleout.hypotheses").joinpath(CALIBRATION)
    return _parse(shipped.read_text(encoding="utf-8"), CALIBRATION)


def _parse(text: str, name: str) -> Calibration:
    told = tomllib.loads(text)
    found = Calibration(
        float(told.get("temperature", 1.0)),
        float(told.get("unknown", 0.0)),
        float(told.get("lapse", 0.0)),
    )
    if not (0.1 <= found.temperature <= 10 and abs(found.unknown) <= 10 and 0 <= found.lapse < 0.5):
        raise IncidentError(
            f"{name} has temperature {found.temperature:g}, unknown {found.unknown:g}, lapse {found.lapse:g}; "
            "they must lie in [0.1, 10], [-10, 10] and [0, 0.5); fit them with 'ruleout fit'"
        )
    return found
