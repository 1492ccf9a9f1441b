"""Charts as compact inline SVG: one function a kind, no dependency, no script.

Our own writer and not a chart library: a report must open without a network and stay small, the
base install has no chart library, and twenty fixed kinds need less code than their specifications.
Colours and fonts come from the page's style sheet, so that one drawing serves light and dark.
"""

from ruleout.postmortem.draw._figure import drawing, figure
from ruleout.postmortem.draw._standalone import png, svg

__all__ = ["drawing", "figure", "png", "svg"]
