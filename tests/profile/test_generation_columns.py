"""Which columns of a log of a language model are no inputs."""

import polars as pl
import pytest

from ruleout.incident import Columns
from ruleout.profile import generation_columns
from ruleout.profile._roles import input_kinds

LOG = {
    "prompt_hash": "template",
    "systemPromptVersion": "template",
    "system_fingerprint": "model",
    "provider_model": "model",
    "model": "model",
    "finish_reason": "finish",
    "input_tokens": "context_size",
    "completion_tokens": "answer_size",
    "is_refusal": "refused",
    "guardrail_action": "refused",
    "policy_version": "policy",
    "tool_error": "tool_failed",
    "tool_schema_version": "tool",
    "index_version": "index",
    "retrieved_doc_age_days": "age",
    "top1_similarity": "likeness",
    "ttft_ms": "said",
    "model_fp": "model",
    "kb_build": "index",
    "chat_template": "template",
    "parse_error": "tool_failed",
    "engine": "runtime",
    "unk_tokens": "unknown",
    "avg_logprob": "said",
    "n_chunks": "retrieved",
}


@pytest.mark.parametrize("name", LOG)
def test_roles_come_from_the_words_of_names(name: str) -> None:
    """Each way of spelling has its role, in a log that others show to be one."""
    roles = generation_columns([name, "prompt_tokens", "finish_reason"])
    assert name in roles[LOG[name]]  # type: ignore[index]


@pytest.mark.parametrize(
    "names",
    [
        ("amount", "device", "card_fingerprint", "latency_ms"),
        ("model_version", "host", "status", "blocked"),
        ("template", "email_template", "safety_score"),
        ("docs", "age", "similarity", "token_age"),
        ("engine", "model", "mileage", "fuel"),
    ],
)
def test_other_tables_are_no_logs(names: tuple[str, ...]) -> None:
    """Single words that other trades use make no log of a language model."""
    assert generation_columns(names) == {}


def test_outcomes_are_no_inputs() -> None:
    """What served and what came of it is left out of the inputs; the size of a context is one."""
    frame = pl.DataFrame(
        {
            "prompt_tokens": [10, 20],
            "prompt_hash": ["a", "b"],
            "refused": [True, False],
            "latency_ms": [1.0, 2.0],
            "topic": ["x", "y"],
        }
    )
    assert set(input_kinds(Columns(), frame, frame)) == {"prompt_tokens", "topic"}
    plain = frame.select("latency_ms", "topic")
    assert set(input_kinds(Columns(), plain, plain)) == {"latency_ms", "topic"}
