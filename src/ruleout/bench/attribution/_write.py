"""Tables of results as Markdown, and their place in a page."""

from __future__ import annotations

from pathlib import Path

import polars as pl

from ruleout._errors import RuleoutError


def markdown(table: pl.DataFrame) -> str:
    """A table: shares as percentages where the column speaks of cases, errors with three decimals."""
    lines = ["| " + " | ".join(table.columns) + " |", "|---" * table.width + "|"]
    lines += [
        "| " + " | ".join(_cell(name, v) for name, v in row.items()) + " |"
        for row in table.iter_rows(named=True)
    ]
    return "\n".join(lines)


def _cell(name: str, value: object) -> str:
    if value is None:
        return ""
    if not isinstance(value, float):
        return str(value)
    if "error" in name:
        return f"{value:.3f}"
    return f"{value:.2g}" if name.startswith("CPU") else f"{value:.0%}"


def place(page: Path, name: str, text: str) -> None:
    """Put `text` between `<!-- name -->` and `<!-- end name -->` of a page.

    Raises:
        RuleoutError: the page has no such place.
    """
    whole = page.read_text(encoding="utf-8")
    first, last = f"<!-- {name} -->\n", f"<!-- end {name} -->"
    if whole.count(first) != 1 or whole.count(last) != 1:
        raise RuleoutError(f"{page} has no place {first.strip()} ... {last}; write the two lines")
    before, _, rest = whole.partition(first)
    after = rest.partition(last)[2]
    page.write_text(f"{before}{first}\n{text}\n\n{last}{after}", encoding="utf-8")
