"""Models that live elsewhere: an HTTP endpoint of the MLflow scoring protocol."""

from __future__ import annotations

import json
import math
import urllib.error
import urllib.parse
import urllib.request
from typing import Any

import numpy as np
import polars as pl

from ruleout._errors import ModelError, Unreachable
from ruleout.sources.models._answers import Classes, read_answer
from ruleout.sources.models._base import Model, Prediction

_BATCH = 2_000
_TIMEOUT_S = 20.0


class HttpModel(Model):
    """An endpoint that takes `dataframe_split` JSON and answers `{"predictions": [...]}`.

    Protocol: MLflow, "Deploy MLflow model as a local inference server".
    """

    def __init__(self, url: str, features: tuple[str, ...], classes: Classes) -> None:
        parts = urllib.parse.urlsplit(url)
        path = parts.path if parts.path not in ("", "/") else "/invocations"
        self._url = urllib.parse.urlunsplit(parts._replace(path=path))
        self.name = urllib.parse.urlunsplit(
            parts._replace(netloc=_without_password(parts), query="")
        )
        self.requires = features
        self._classes = classes

    def _score(self, frame: pl.DataFrame) -> Prediction:
        chosen = frame.select(self.requires)
        answers: list[Any] = []
        for start in range(0, chosen.height, _BATCH):
            answers.extend(self._post(chosen.slice(start, _BATCH)))
        return read_answer(_plain(answers), frame.height, self._classes)

    def _post(self, rows: pl.DataFrame) -> list[Any]:
        body = {"dataframe_split": {"columns": rows.columns, "data": _json_rows(rows)}}
        request = urllib.request.Request(  # noqa: S310 - the loader admits http and https only
            self._url,
            data=json.dumps(body).encode(),
            headers={"Content-Type": "application/json"},
            method="POST",
        )
        return _predictions(self._send(request), self.name, rows.height)

    def _send(self, request: urllib.request.Request) -> bytes:
        try:
            with urllib.request.urlopen(request, timeout=_TIMEOUT_S) as response:  # noqa: S310
                return bytes(response.read())
        except urllib.error.HTTPError as error:
            told = " ".join(error.read(2_000).decode("utf-8", errors="replace").split())[:200]
            raise ModelError(f"endpoint {self.name} answered {error.code}: {told}") from error
        except (urllib.error.URLError, TimeoutError, ConnectionError) as error:
            reason = getattr(error, "reason", error)
            raise Unreachable(f"endpoint {self.name} does not answer: {reason}") from error


def _without_password(parts: urllib.parse.SplitResult) -> str:
    return parts.netloc.rpartition("@")[2]


def _json_rows(rows: pl.DataFrame) -> list[list[Any]]:
    return [[_json_value(value) for value in row] for row in rows.iter_rows()]


def _json_value(value: Any) -> Any:
    """NaN and infinities are not JSON; instants travel as ISO text."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if value is None or isinstance(value, (str, int, bool, list)):
        return value
    isoformat = getattr(value, "isoformat", None)
    return isoformat() if callable(isoformat) else str(value)


def _predictions(body: bytes, name: str, rows: int) -> list[Any]:
    try:
        parsed = json.loads(body)
    except ValueError as error:
        raise ModelError(f"endpoint {name} did not answer JSON: {body[:80]!r}") from error
    answer = parsed.get("predictions") if isinstance(parsed, dict) else parsed
    if not isinstance(answer, list) or len(answer) != rows:
        held = f"{len(answer)} predictions" if isinstance(answer, list) else "no list"
        raise ModelError(f"endpoint {name} answered {held} for {rows} rows")
    return answer


def _plain(answers: list[Any]) -> Any:
    """A list of mappings or a 1-D or 2-D array, with null as NaN."""
    if answers and isinstance(answers[0], dict):
        return answers
    if answers and isinstance(answers[0], list):
        return np.array(answers, dtype=np.float64)
    if any(isinstance(answer, (str, bool)) for answer in answers):
        return np.array(answers, dtype=object)
    if any(answer is None or isinstance(answer, float) for answer in answers):
        return np.array([math.nan if answer is None else answer for answer in answers], dtype=float)
    return np.array(answers)
