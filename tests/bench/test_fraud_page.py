from pathlib import Path

import pytest

from ruleout.bench.demos import fraud_page


@pytest.fixture(scope="module")
def docs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("docs")
    fraud_page.main(str(folder))
    return folder


def test_the_page_tells_the_run(docs: Path) -> None:
    """The page isolates the pipeline error: drift, drivers, golden cases, adversaries, undone; its figures are there and small."""
    text = (docs / "fraud.md").read_text(encoding="utf-8")
    for told in (
        "amount is 100 times its reference where processor is paylane",
        "decisions rest on the same inputs",
        "100.0% of 250 golden inputs get their stored score",
        "the loss lies no more with few values of device_id",
        "adversarial shift (by E",
        "`paylane-connector`",
        "| with a surrogate | ",
    ):
        assert told in text
    linked = [part.split(")")[0] for part in text.split("](")[1:]]
    assert len(linked) == 4
    for figure in linked:
        assert (docs / figure).read_text(encoding="utf-8").startswith("<svg")
        assert (docs / figure).stat().st_size < 15_000


def test_the_model_explains_more_than_a_surrogate(docs: Path) -> None:
    """What the page says of running without the model is so: the same cause, and less of it undone."""
    lines = (docs / "fraud.md").read_text(encoding="utf-8").splitlines()
    told = [
        next(line for line in lines if line.startswith(f"| with {who} |")).split(" | ")[2]
        for who in ("the model", "a surrogate")
    ]
    model, surrogate = (float(share.split("%")[0]) for share in told)
    assert model > 85 > surrogate
