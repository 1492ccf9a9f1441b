"""What a diagnosis looks like: JSON for programs; terminal, HTML, Markdown and notebook for people."""

from ruleout.postmortem._charts import KINDS
from ruleout.postmortem._codec import decode, encode, schema, to_json
from ruleout.postmortem._html import html
from ruleout.postmortem._markdown import markdown
from ruleout.postmortem._notebook import mimebundle, notebook
from ruleout.postmortem._terminal import terminal
from ruleout.postmortem.draw import png, svg

__all__ = [
    "KINDS",
    "decode",
    "encode",
    "html",
    "markdown",
    "mimebundle",
    "notebook",
    "png",
    "schema",
    "svg",
    "terminal",
    "to_json",
]
