"""Who calls whom: declared, and seen in traces."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable

import numpy as np

from ruleout.attribution.services._calls import Calls

Edge = tuple[str, str]


def traced_edges(tree: Calls) -> set[Edge]:
    """(caller, callee) pairs of services that the spans show."""
    entered = np.flatnonzero((tree.parent >= 0) & (tree.entry == np.arange(len(tree.entry))))
    if not len(entered):
        return set()
    pairs = np.unique(np.stack([tree.service[tree.parent[entered]], tree.service[entered]]), axis=1)
    return {(tree.services[a], tree.services[b]) for a, b in pairs.T if a != b}


def chain(cause: str, symptom: str | None, edges: Iterable[Edge]) -> tuple[str, ...]:
    """The shortest way along which a cause reaches the symptom: from the cause up its callers.

    Only the cause itself where no way is known.
    """
    if symptom is None or cause == symptom:
        return (cause,)
    callers: dict[str, list[str]] = {}
    for caller, callee in sorted(edges):
        callers.setdefault(callee, []).append(caller)
    back: dict[str, str] = {cause: cause}
    queue = deque([cause])
    while queue:
        here = queue.popleft()
        if here == symptom:
            way = [here]
            while way[-1] != cause:
                way.append(back[way[-1]])
            return tuple(reversed(way))
        for caller in callers.get(here, []):
            if caller not in back:
                back[caller] = here
                queue.append(caller)
    return (cause,)
