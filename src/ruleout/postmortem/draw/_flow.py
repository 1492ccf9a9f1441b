"""Charts of what goes where: matched categories, service graphs, critical paths."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from html import escape
from typing import Final, NamedTuple

from ruleout.postmortem import _words as words
from ruleout.postmortem.draw import _read as read
from ruleout.postmortem.draw import _svg as svg
from ruleout.postmortem.draw._svg import Drawing, Key, Scale

_PAIRS: Final = 30
_NODES: Final = 40
_SPANS: Final = 30
_ROLES: Final = ("root_cause", "amplifier", "sustaining", "consequence", "symptom")


class Link(NamedTuple):
    """Something that leads from one name to another."""

    start: str
    stop: str
    weight: float


def _links(value: object, most: int) -> list[Link]:
    links = []
    for pair in read.items(value)[:most]:
        parts = read.items(pair)
        if len(parts) < 2:
            continue
        weight = words.finite(parts[2]) if len(parts) > 2 else 1.0
        links.append(
            Link(
                words.clean(parts[0], 60),
                words.clean(parts[1], 60),
                min(1.0, max(0.0, weight or 0.0)),
            )
        )
    return links


def matching(chart: read.Chart) -> Drawing | None:
    """Old values at the left, new ones at the right, and which became which."""
    links = _links(chart.get("pairs"), _PAIRS)
    if not links:
        return None
    old = words.unique(link.start for link in links)
    new = words.unique(
        link.stop for link in sorted(links, key=lambda k: (old.index(k.start), -k.weight))
    )
    each, top, left, right = 24, 26, 150, svg.WIDTH - 150
    height = top + each * max(len(old), len(new)) + 6
    body = [
        svg.label(left, 14, "reference", "hint", anchor="end"),
        svg.label(right, 14, "current", "hint"),
    ]
    for link in links:
        a, b = (
            top + each * (side.index(n) + 0.5) for side, n in ((old, link.start), (new, link.stop))
        )
        style = "link same" if link.start == link.stop else "link"
        tip = f"{link.start} became {link.stop}: {words.percent(link.weight)}"
        body.append(
            _curve(left + 8, a, right - 8, b, style=style, tip=tip, width=1 + 5 * link.weight)
        )
    for side, x, anchor in ((old, left, "end"), (new, right, "start")):
        body += [
            svg.label(x, top + each * (i + 0.5) + 4, svg.cut(n, 146), "", anchor=anchor, tip=n)
            for i, n in enumerate(side)
        ]
    name = read.text(chart, "name")
    title = f"{name}: which value became which" if name else "Which value became which"
    told = "; ".join(f"{k.start} to {k.stop} {words.percent(k.weight)}" for k in links[:8])
    hidden = len(read.items(chart.get("pairs"))) - len(links)
    note = f"{hidden:,} more pairs are not drawn" if hidden > 0 else ""
    return Drawing(svg.svg(svg.WIDTH, height, title, told, *body), title, told, note=note)


def _curve(
    x1: float, y1: float, x2: float, y2: float, *, style: str, tip: str, width: float
) -> str:
    middle = (x1 + x2) / 2
    return svg.tag(
        "path", svg.tag("title", escape(tip)), class_=style, stroke_width=float(width),
        d=f"M{x1:.1f} {y1:.1f}C{middle:.1f} {y1:.1f} {middle:.1f} {y2:.1f} {x2:.1f} {y2:.1f}",
    )  # fmt: skip


def graph(chart: read.Chart) -> Drawing | None:
    """Who calls whom, with the blame: callers at the left, what they depend on at the right."""
    nodes = {words.clean(n.get("id", ""), 60): n for n in read.rows(chart.get("nodes"), _NODES)}
    links = [k for k in _links(chart.get("edges"), 200) if k.start in nodes and k.stop in nodes]
    if not nodes:
        return None
    columns = _columns(list(nodes), links)
    across, down, box = 186.0, 64.0, 148.0
    height = down * max(len(c) for c in columns) + 16
    width = max(920.0, across * len(columns) + 8)
    left = (width - across * (len(columns) - 1) - box) / 2
    place = {
        name: (left + across * i, height / 2 + down * (j - (len(column) - 1) / 2))
        for i, column in enumerate(columns)
        for j, name in enumerate(column)
    }
    body = [
        _curve(
            place[k.start][0] + box, place[k.start][1], place[k.stop][0], place[k.stop][1],
            style="link blame", tip=f"{k.start} calls {k.stop}", width=1 + 3 * k.weight,
        )
        for k in links
    ]  # fmt: skip
    body += [_node(nodes[name], name, x, y, box) for name, (x, y) in place.items()]
    blamed = [f"{n} ({_role(nodes[n])})" for n in nodes if _role(nodes[n])]
    told = words.listed(blamed, 8) or f"{len(nodes)} entities"
    title = "Services, and where the blame flows"
    keys = tuple(
        Key(f"role {r}", r.replace("_", " "))
        for r in _ROLES
        if any(n.get("role") == r for n in nodes.values())
    )
    return Drawing(svg.svg(width, height, title, told, *body), title, told, keys, wide=True)


def _role(node: Mapping[str, object]) -> str:
    role = node.get("role")
    return role.replace("_", " ") if isinstance(role, str) and role in _ROLES else ""


def _node(node: Mapping[str, object], name: str, x: float, y: float, box: float) -> str:
    role = node.get("role")
    style = f"node role {role}" if isinstance(role, str) and role in _ROLES else "node"
    score = words.finite(node.get("score"))
    under = " · ".join(
        p for p in (_role(node), "" if not score else f"blame {words.percent(score)}") if p
    )
    return "".join((
        svg.rect(x, y - 21, box, 42, style, tip=name, rx=6),
        svg.label(x + box / 2, y - (3 if under else -4), svg.cut(name, box - 8, 7.0), "strong", anchor="middle", tip=name),
        svg.label(x + box / 2, y + 13, under, "tick", anchor="middle") if under else "",
    ))  # fmt: skip


def _columns(names: Sequence[str], links: Sequence[Link]) -> list[list[str]]:
    """Names by their distance from those that nobody calls; cycles are cut where they close."""
    depth = dict.fromkeys(names, 0)
    for _ in range(min(len(names), 12)):
        for link in links:
            depth[link.stop] = max(depth[link.stop], min(depth[link.start] + 1, 12))
    used = sorted(set(depth.values()))
    return [[n for n in names if depth[n] == d] for d in used]


def spans(chart: read.Chart) -> Drawing | None:
    """The critical path of a typical request before and now, on one scale."""
    sides = {key: _path(chart.get(key)) for key in ("reference", "current")}
    if not any(sides.values()):
        return None
    end = max(start + took for side in sides.values() for _, start, took in side)
    width, each, names = 920, 24, 230
    x = Scale(0.0, end or 1.0, names, width - 90)
    y, body = 8.0, []
    for (key, side), style in zip(sides.items(), ("refbar", "curbar"), strict=True):
        body.append(svg.label(4, y + 16, f"{key}: {_total(side)}", "strong"))
        y += each
        for name, start, took in side:
            shown = max(1.5, x(start + took) - x(start))
            body += [
                svg.label(names - 8, y + 16, svg.cut(name, names - 14), "", anchor="end", tip=name),
                svg.rect(
                    x(start),
                    y + 4,
                    shown,
                    16,
                    style,
                    tip=f"{name}: {_ms(took)} from {_ms(start)}",
                ),
                svg.label(x(start) + shown + 5, y + 16, _ms(took), "tick"),
            ]
            y += each
        y += 8
    body.insert(0, svg.x_axis(x, 8, y, most=6))
    body.append(svg.label(names - 8, y + 16, "ms", "hint", anchor="end"))
    title = "Critical path of a typical request, before and now"
    told = f"reference {_total(sides['reference'])}, current {_total(sides['current'])}"
    keys = (Key("refbar", "reference"), Key("curbar", "current"))
    return Drawing(svg.svg(width, y + 24, title, told, *body), title, told, keys, wide=True)


def _path(value: object) -> list[tuple[str, float, float]]:
    found = []
    for span in read.rows(value, _SPANS):
        start, took = words.finite(span.get("start_ms")), words.finite(span.get("duration_ms"))
        if start is not None and took is not None and took >= 0:
            name = f"{words.clean(span.get('service', ''), 40)} {words.clean(span.get('operation', ''), 60)}".strip()
            found.append((name, start, took))
    return found


def _ms(time: float) -> str:
    """Milliseconds; short times with a digit more, so that what is not nothing does not look like it."""
    return f"{time:,.1f} ms" if 0 < time < 9.95 else f"{time:,.0f} ms"


def _total(side: Sequence[tuple[str, float, float]]) -> str:
    ends = [start + took for _, start, took in side]
    return (
        _ms(max(ends) - min(s for _, s, _ in side))
        if ends and math.isfinite(sum(ends))
        else "no spans"
    )
