"""Reading `incident.yaml` into a tree that remembers where each value stood.

The file is parsed with PyYAML's safe loader up to its node graph and no further, so that a value keeps its
line and its spelling (`no` and `0123` are names as often as they are a boolean and a number), and so that
aliases are shared instead of copied.
"""

from __future__ import annotations

import difflib
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from itertools import islice
from pathlib import Path, PurePath
from typing import Any, NoReturn

import yaml

from ruleout._errors import IncidentError

_LATEST_SECONDS = 1e11
"""Epoch seconds above this are past the year 5000: milliseconds, more likely."""


@dataclass(frozen=True, slots=True)
class Value:
    """A scalar, or a list or mapping of further values, with its spelling and its line."""

    content: Any
    """A Python scalar, `list[Value]` or `dict[str, Value]`."""

    spelling: str | None = None
    line: int | None = None


@dataclass(frozen=True, slots=True)
class Node:
    """A value at a dotted path in a file: what validation reads from, and complains with."""

    file: str
    path: str
    value: Value

    def fail(self, rule: str) -> NoReturn:
        """Refuse this value.

        Raises:
            IncidentError: always; it names the file, the line, the key, the value and the rule.
        """
        line = f":{self.value.line}" if self.value.line is not None else ""
        shown = _shown(self.value)
        raise IncidentError(f"{self.file}{line}: {self.path or 'the document'} is {shown}; {rule}")

    @property
    def content(self) -> Any:
        """The bare content: a scalar, a list or a dict of `Value`."""
        return self.value.content

    def child(self, key: str | int, value: Value) -> Node:
        """The node of one entry below this one."""
        if isinstance(key, int):
            path = f"{self.path}[{key}]"
        else:
            path = f"{self.path}.{key}" if self.path else key
        return Node(self.file, path, value)

    def mapping(self, keys: Iterable[str] | None = None) -> dict[str, Node]:
        """The entries of a mapping that are not null; with `keys`, no others may occur."""
        if not isinstance(self.content, dict):
            self.fail("it must be a mapping (`key: value` lines)")
        entries = {key: self.child(key, value) for key, value in self.content.items()}
        if keys is not None:
            known = tuple(keys)
            for key, node in entries.items():
                if key not in known:
                    node.fail(
                        f"{key!r} is not a key of {self.path or 'an incident'}; {nearest(key, known)}"
                    )
        return {key: node for key, node in entries.items() if node.content is not None}

    def items(self) -> tuple[Node, ...]:
        """The entries of a list."""
        if not isinstance(self.content, list):
            self.fail("it must be a list, `[a, b]`")
        return tuple(self.child(index, value) for index, value in enumerate(self.content))

    def text(self) -> str:
        """A string that is not empty."""
        if not isinstance(self.content, str) or not self.content.strip():
            self.fail("it must be a text; quote it if it looks like something else")
        return str(self.content)

    def name(self) -> str:
        """The name of a thing: text, or a scalar that means its own spelling (`7`, `no`)."""
        if isinstance(self.content, bool | int | float | date) and self.value.spelling:
            return self.value.spelling
        if not isinstance(self.content, str) or not self.content:
            self.fail("it must be a name")
        return self.content

    def names(self) -> tuple[str, ...]:
        """A list of names, or one name; a repeated name counts once."""
        if isinstance(self.content, list):
            return tuple(dict.fromkeys(node.name() for node in self.items()))
        return (self.name(),)

    def choice(self, options: Sequence[str]) -> str:
        """One of `options`."""
        if not isinstance(self.content, str) or self.content not in options:
            near = nearest(str(self.content), options)
            # All of them are named already.
            hint = f"; {near}" if near.startswith("did you mean") else ""
            self.fail(f"it must be one of {', '.join(options)}{hint}")
        return str(self.content)

    def number(self) -> float:
        """A finite number."""
        if isinstance(self.content, bool) or not isinstance(self.content, int | float):
            self.fail("it must be a number")
        try:
            number = float(self.content)
        except OverflowError:
            self.fail("it must be a finite number")
        if not math.isfinite(number):
            self.fail("it must be a finite number")
        return number

    def instant(self) -> float:
        """A point in time, as epoch seconds: ISO 8601 (UTC unless it says otherwise), a date, or epoch seconds."""
        content = self.content
        if isinstance(content, str):
            try:
                content = datetime.fromisoformat(content.strip())
            except ValueError:
                self.fail("it must be a time such as 2026-11-20T14:30:00Z, or epoch seconds")
        if isinstance(content, datetime):
            zoned = content if content.tzinfo else content.replace(tzinfo=UTC)
            return zoned.timestamp()
        if isinstance(content, date):
            return datetime(content.year, content.month, content.day, tzinfo=UTC).timestamp()
        if isinstance(content, bool) or not isinstance(content, int | float):
            self.fail("it must be a time such as 2026-11-20T14:30:00Z, or epoch seconds")
        if not abs(content) < _LATEST_SECONDS:
            self.fail("epoch times are in seconds; this looks like milliseconds or is not finite")
        return float(content)


def nearest(word: str, options: Iterable[str]) -> str:
    """The way out of a mistyped word: the option it resembles, else all of them."""
    known = sorted(options)
    lowered = {option.lower(): option for option in known}
    near = difflib.get_close_matches(word.lower(), lowered, n=1, cutoff=0.5)
    if near:
        return f"did you mean {lowered[near[0]]!r}?"
    shown = ", ".join(known[:20]) + (f", ... ({len(known)} in all)" if len(known) > 20 else "")
    return f"valid: {shown or 'none'}"


def plain(value: Value) -> Any:
    """The content as ordinary Python objects; what aliases share stays shared."""
    return _plain(value, {})


def _plain(value: Value, done: dict[int, Any]) -> Any:
    if id(value) not in done:
        content = value.content
        if isinstance(content, dict):
            content = {key: _plain(entry, done) for key, entry in content.items()}
        elif isinstance(content, list):
            content = [_plain(entry, done) for entry in content]
        done[id(value)] = content
    return done[id(value)]


def is_frame(content: Any) -> bool:
    """Whether a value from Python is a table in memory.

    Its type is asked, not the value: the columns of a lazy frame cost a look at its source, of which polars warns.
    """
    return hasattr(type(content), "columns")


def from_python(content: Any) -> Value:
    """A tree from Python objects; what is neither a mapping nor a list or tuple is a scalar."""
    if isinstance(content, Mapping):
        return Value({str(key): from_python(entry) for key, entry in content.items()})
    if isinstance(content, list | tuple):
        return Value([from_python(entry) for entry in content])
    if isinstance(content, PurePath):
        return Value(str(content))
    if type(content).__module__ == "numpy" and getattr(content, "ndim", None) == 0:
        return from_python(content.item())
    spelling = str(content) if isinstance(content, bool | int | float | date) else None
    return Value(content, spelling)


def read(path: Path) -> Node:
    """The document in a YAML file.

    Raises:
        IncidentError: the file is missing, not UTF-8, not YAML, or uses what YAML allows but an incident does not
            (repeated keys, merge keys, tags, aliases that contain themselves).
    """
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except OSError as error:
        raise IncidentError(
            f"{path}: cannot be read ({error.strerror}); give an incident folder or file"
        ) from error
    except UnicodeDecodeError as error:
        raise IncidentError(
            f"{path}: byte {error.start} is {error.object[error.start]:#04x}, which is not UTF-8; "
            "save the file as UTF-8"
        ) from error
    return parse(text, str(path))


def parse(text: str, file: str) -> Node:
    """The document in a YAML text; `file` is what errors call it.

    Raises:
        IncidentError: as `read`.
    """
    loader = None
    try:
        loader = yaml.SafeLoader(text)
        root = loader.get_single_node()
        value = Value({}) if root is None else _Converter(loader, file).convert(root, ())
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = f":{mark.line + 1}" if mark else ""
        raise IncidentError(
            f"{file}{line}: is not YAML: {error.problem or error.context}"
        ) from error
    except yaml.YAMLError as error:
        raise IncidentError(f"{file}: is not YAML: {' '.join(str(error).split())}") from error
    except RecursionError as error:
        raise IncidentError(f"{file}: is nested too deeply for an incident") from error
    finally:
        if loader is not None:
            loader.dispose()
    return Node(file, "", value)


class _Converter:
    """Turns YAML nodes into values, each node once, so that aliases cost nothing."""

    def __init__(self, loader: yaml.SafeLoader, file: str) -> None:
        self.loader = loader
        self.file = file
        self.done: dict[int, Value] = {}
        self.open: set[int] = set()

    def convert(self, node: yaml.Node, path: tuple[str, ...]) -> Value:
        """The value of `node`, which stands at `path`."""
        if id(node) in self.done:
            return self.done[id(node)]
        if id(node) in self.open:
            self.fail(node, path, "an alias may not contain itself")
        self.open.add(id(node))
        value = Value(self.content(node, path), _spelling(node), node.start_mark.line + 1)
        self.open.discard(id(node))
        self.done[id(node)] = value
        return value

    def content(self, node: yaml.Node, path: tuple[str, ...]) -> Any:
        """The bare content of `node`."""
        if isinstance(node, yaml.MappingNode) and node.tag == "tag:yaml.org,2002:map":
            return dict(self.entries(node, path))
        if isinstance(node, yaml.SequenceNode) and node.tag == "tag:yaml.org,2002:seq":
            return [
                self.convert(entry, (*path, str(index))) for index, entry in enumerate(node.value)
            ]
        if not isinstance(node, yaml.ScalarNode):
            self.fail(
                node,
                path,
                f"the tag {node.tag!r} is not understood; write plain lists and mappings",
            )
        try:
            return self.loader.construct_object(node)
        except (ValueError, OverflowError, KeyError) as error:
            self.fail(
                node, path, f"{node.value!r} cannot be read ({error}); quote it if it is a text"
            )

    def entries(self, node: yaml.MappingNode, path: tuple[str, ...]) -> Iterator[tuple[str, Value]]:
        """The entries of a mapping, each key once."""
        seen: dict[str, int] = {}
        for key, value in node.value:
            if not isinstance(key, yaml.ScalarNode):
                self.fail(key, path, "a key must be a plain word, not a list or a mapping")
            name = key.value
            if key.tag == "tag:yaml.org,2002:merge":
                self.fail(key, path, "merge keys (<<) are not supported; write the keys out")
            if name in seen:
                self.fail(
                    key,
                    (*path, name),
                    f"the key {name!r} stands already on line {seen[name]}; remove one",
                )
            seen[name] = key.start_mark.line + 1
            yield name, self.convert(value, (*path, name))

    def fail(self, node: yaml.Node, path: tuple[str, ...], rule: str) -> NoReturn:
        """Refuse what YAML allows and an incident does not."""
        where = ".".join(path) or "the document"
        raise IncidentError(f"{self.file}:{node.start_mark.line + 1}: {where}: {rule}")


def _spelling(node: yaml.Node) -> str | None:
    return str(node.value) if isinstance(node, yaml.ScalarNode) else None


def _shown(value: Value, limit: int = 80) -> str:
    """A value for a message: never longer than a line, however large or however aliased it is."""
    content = value.content
    if isinstance(content, dict):
        shown = "{" + ", ".join(islice(content, 8)) + "}"
    elif isinstance(content, list):
        heads = ("..." if isinstance(v.content, list | dict) else _shown(v) for v in content)
        shown = "[" + ", ".join(islice(heads, 8)) + (", ..." if len(content) > 8 else "") + "]"
    elif isinstance(content, str):
        shown = repr(content)
    elif value.spelling is None:
        shown = f"a {type(content).__name__}" if content is not None else "null"
    else:
        shown = value.spelling
    return shown if len(shown) <= limit else shown[: limit - 3] + "..."
