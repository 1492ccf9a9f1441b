"""A diagnosis as JSON and back: version 1 of the public format, and its JSON Schema.

One set of rules, read from the records' own type hints, writes, reads and describes the format, so that the three cannot
disagree.
"""

from __future__ import annotations

import json
import math
import types
from collections.abc import Mapping
from dataclasses import MISSING, fields, is_dataclass
from functools import cache
from typing import Any, Literal, Union, cast, get_args, get_origin, get_type_hints

from ruleout._errors import SourceError
from ruleout._records import Diagnosis, Layer

_DIGITS = 6
"""Significant digits of a number; more would be noise, and would differ between machines."""

_NOT_WRITTEN = {"Diagnosis": {"charts"}, "Evidence": {"chart"}}
"""Data for the report's charts, which is not part of the format."""

_EXTRA = {"Hypothesis": {"weights"}, "Evidence": {"signal", "strength"}, "SourceStatus": {"reason"}}
"""Optional additions to the format: written, and not missed when they are absent."""

_LAYERS: tuple[str, ...] = get_args(Layer)


def to_json(diagnosis: Diagnosis) -> str:
    """The diagnosis as JSON text, ending in a line break; the same diagnosis gives the same bytes in UTF-8."""
    text = json.dumps(encode(diagnosis), indent=2, ensure_ascii=False, allow_nan=False) + "\n"
    # A lone surrogate has no UTF-8; its escape is valid JSON for the same text.
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


def encode(diagnosis: Diagnosis) -> dict[str, Any]:
    """The diagnosis as plain lists, dicts, texts and numbers, in the order of the format.

    Numbers are rounded to six significant digits; those that are not finite are null. Every layer is present.
    """
    document: dict[str, Any] = {"version": diagnosis.version, **_plain(diagnosis)}
    document["layers"] = {layer: document["layers"].get(layer, 0.0) for layer in _LAYERS}
    return document


def decode(document: str | Mapping[str, Any]) -> Diagnosis:
    """The diagnosis in a JSON text or in its parsed form. Fields that this release does not know are ignored.

    Raises:
        SourceError: it is not JSON, not of version 1, or a field is missing or of the wrong type.
    """
    if isinstance(document, str):
        try:
            document = json.loads(document)
        except (json.JSONDecodeError, RecursionError) as error:
            raise SourceError(f"this is not JSON: {error}") from error
    if not isinstance(document, Mapping) or document.get("version") != 1:
        found = (
            document.get("version") if isinstance(document, Mapping) else type(document).__name__
        )
        raise SourceError(f"this is not a diagnosis of version 1 (version: {found!r})")
    return cast("Diagnosis", _read(Diagnosis, document, "diagnosis"))


def schema() -> dict[str, Any]:
    """The JSON Schema (draft 2020-12) of the format."""
    definitions: dict[str, Any] = {}
    root = _describe(Diagnosis, definitions)
    properties = definitions["Diagnosis"]["properties"]
    properties["version"] = {"const": 1}
    properties["layers"]["required"] = list(_LAYERS)
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "A diagnosis by ruleout, version 1",
        **root,
        "$defs": dict(sorted(definitions.items())),
    }


def _written(record: type) -> list[str]:
    hidden = _NOT_WRITTEN.get(record.__name__, set())
    return [field.name for field in fields(record) if field.name not in hidden]


@cache
def _hints(record: type) -> dict[str, Any]:
    return get_type_hints(record)


def _plain(value: Any) -> Any:
    if is_dataclass(value) and not isinstance(value, type):
        return {name: _plain(getattr(value, name)) for name in _written(type(value))}
    if isinstance(value, Mapping):
        return {str(key): _plain(entry) for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(entry) for entry in value]
    if hasattr(value, "item"):
        value = value.item()
    if isinstance(value, float):
        return _rounded(value)
    if value is None or isinstance(value, bool | int | str):
        return value
    raise TypeError(
        f"a diagnosis cannot hold {value!r} ({type(value).__name__}); use text or numbers"
    )


def _rounded(number: float) -> float | None:
    if not math.isfinite(number):
        return None
    return float(f"{number:.{_DIGITS}g}") + 0.0  # + 0.0 turns -0.0 into 0.0


def _read(hint: Any, value: Any, path: str) -> Any:
    """`value` as what `hint` describes."""
    origin, arguments = get_origin(hint), get_args(hint)
    if origin in (Union, types.UnionType):
        part = next(part for part in arguments if part is not type(None))
        return None if value is None else _read(part, value, path)
    if origin is tuple:
        _expect(list, value, path)
        return tuple(_read(arguments[0], entry, f"{path}[{i}]") for i, entry in enumerate(value))
    if is_dataclass(hint) and isinstance(hint, type):
        return _read_record(hint, value, path)
    if origin is not None and origin is not Literal:
        _expect(dict, value, path)
        return {key: _read(arguments[1], entry, f"{path}.{key}") for key, entry in value.items()}
    return _read_scalar(hint, value, path)


def _read_scalar(hint: Any, value: Any, path: str) -> Any:
    if get_origin(hint) is Literal and value not in get_args(hint):
        choices = ", ".join(map(str, get_args(hint)))
        raise SourceError(f"{path} is {value!r}; it must be one of {choices}")
    if hint is float:
        # A number that was not finite when it was written has become null.
        value = math.nan if value is None else float(value) if type(value) is int else value
    if hint in (str, int, float, bool):
        _expect(hint, value, path)
    return value


def _read_record(record: type, value: Any, path: str) -> Any:
    _expect(dict, value, path)
    hints, given = _hints(record), {}
    for field in fields(record):
        if field.name in value and field.name in _written(record):
            given[field.name] = _read(hints[field.name], value[field.name], f"{path}.{field.name}")
        elif field.default is MISSING and field.default_factory is MISSING:
            raise SourceError(f"{path}.{field.name} is missing; this is not a complete diagnosis")
    return record(**given)


def _expect(kind: type, value: Any, path: str) -> None:
    if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
        raise SourceError(f"{path} is {value!r}; it must be of JSON type {_NAMES[kind]}")


_NAMES = {
    str: "string",
    int: "integer",
    float: "number",
    bool: "boolean",
    list: "array",
    dict: "object",
}


def _describe(hint: Any, definitions: dict[str, Any]) -> dict[str, Any]:
    """The schema of a type; records go into `definitions`."""
    origin, arguments = get_origin(hint), get_args(hint)
    if is_dataclass(hint) and isinstance(hint, type):
        if hint.__name__ not in definitions:
            definitions[hint.__name__] = {}
            definitions[hint.__name__] = _describe_record(hint, definitions)
        return {"$ref": f"#/$defs/{hint.__name__}"}
    if origin in (Union, types.UnionType):
        parts = [part for part in arguments if part is not type(None)]
        return {"anyOf": [*(_describe(part, definitions) for part in parts), {"type": "null"}]}
    if origin is Literal:
        return {"enum": list(arguments)}
    if origin is tuple:
        return {"type": "array", "items": _describe(arguments[0], definitions)}
    if origin is not None:
        return {"type": "object", "additionalProperties": _describe(arguments[1], definitions)}
    return {} if hint is Any else {"type": _NAMES[hint]}


def _describe_record(record: type, definitions: dict[str, Any]) -> dict[str, Any]:
    hints, names = _hints(record), _written(record)
    extra = _EXTRA.get(record.__name__, set())
    return {
        "description": " ".join((record.__doc__ or "").split()),
        "type": "object",
        "properties": {name: _describe(hints[name], definitions) for name in names},
        "required": [name for name in names if name not in extra],
    }
