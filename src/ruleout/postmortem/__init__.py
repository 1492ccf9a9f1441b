"""What a person sees of a diagnosis: terminal, HTML, Markdown and notebook."""

from ruleout.postmortem._charts import KINDS
from ruleout.postmortem._html import html
from ruleout.postmortem._markdown import markdown
from ruleout.postmortem._notebook import mimebundle, notebook
from ruleout.postmortem._terminal import terminal
from ruleout.postmortem.draw import png, svg

__all__ = ["KINDS", "html", "markdown", "mimebundle", "notebook", "png", "svg", "terminal"]
