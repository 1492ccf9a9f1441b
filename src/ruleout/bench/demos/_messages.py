"""Messages of customers to a shop, made from templates, each with what it is about."""

from __future__ import annotations

from ruleout.bench.demos._scene import Rng

_ABOUT: dict[str, tuple[str, ...]] = {
    "delivery": (
        "where is my parcel, the tracking page has not moved since {day}",
        "the courier left the {thing} at the wrong address",
        "my delivery was promised for {day} and nobody came",
    ),
    "refund": (
        "I sent the {thing} back on {day} and still wait for my money",
        "please refund the {thing}, it arrived broken",
        "the amount you paid back for the {thing} is too small",
    ),
    "login": (
        "I cannot sign in, the code never arrives on my phone",
        "my account is locked since {day} and the reset link is dead",
        "the app says that my password is wrong, it is not",
    ),
    "invoice": (
        "the invoice for the {thing} shows the wrong company",
        "please send me the bill of {day} again, with the tax number",
        "I was charged twice for one {thing}",
    ),
    "praise": (
        "the {thing} is wonderful, thank you so much",
        "your colleague helped me at once on {day}, what a great service",
        "best shop ever, the {thing} looks lovely in our hall",
    ),
}
_SMALL_TALK = (
    "Hello, I hope that you are well.",
    "I have been a customer for many years.",
    "Could you please look into this as soon as you can?",
    "I have written about it before, without an answer.",
    "My order number is in the subject of this message.",
    "Kind regards from a rainy town by the sea.",
    "Please call me back in the afternoon, not before three.",
)
_THINGS = ("lamp", "kettle", "jacket", "carpet", "bicycle", "mirror", "blanket", "toaster")
_DAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
CLASSES = tuple(sorted(_ABOUT))


def messages(rng: Rng, rows: int) -> tuple[list[str], list[str]]:
    """Texts and their classes, `rows` of each; from one sentence to seven."""
    labels = [str(label) for label in rng.choice(CLASSES, size=rows)]
    return [_message(rng, label) for label in labels], labels


def _message(rng: Rng, label: str) -> str:
    told = _ABOUT[label][rng.integers(3)].format(
        thing=_THINGS[rng.integers(len(_THINGS))], day=_DAYS[rng.integers(len(_DAYS))]
    )
    around = [_SMALL_TALK[i] for i in rng.permutation(len(_SMALL_TALK))[: rng.integers(0, 7)]]
    around.insert(int(rng.integers(len(around) + 1)), told[0].upper() + told[1:] + ".")
    return " ".join(around)
