"""The text and image sets of the corpus."""

from __future__ import annotations

import polars as pl

from ruleout._errors import need
from ruleout.bench.corpus._dataset import DataSet, data_set, table


def _counted(frame: pl.DataFrame) -> pl.DataFrame:
    """Normalise case, and add what a text service logs beside the text."""
    return frame.with_columns(pl.col("text").str.to_lowercase()).with_columns(
        pl.col("text").str.count_matches(r"\S+").cast(pl.Int64).alias("token_count"),
        pl.lit(0, dtype=pl.Int64).alias("unknown_tokens"),
    )


@data_set("text_sms_spam")
def sms_spam() -> DataSet:
    """Spam filter on short messages."""
    frame = table("text_sms_spam/sms.parquet")
    frame = frame.with_columns((pl.col("label") == "spam").cast(pl.Int64).alias("spam"))
    return DataSet(
        "text_sms_spam",
        "spam filter",
        "binary",
        ("f1", "accuracy", "roc_auc", "recall", "log_loss"),
        _counted(frame.select("text", "spam")),
        (),
        (),
        "spam",
        (0, 1),
        ("text",),
        rows=3_000,
        train_rows=1_800,
        text="text",
        threshold=0.4,
    )


@data_set("text_clinc150")
def intents() -> DataSet:
    """Intent router: thirty intents of a banking and travel assistant."""
    frame = table("text_clinc150/clinc150.parquet").filter(~pl.col("out_of_scope"))
    kept = frame["intent"].unique().sort().to_list()[::5]
    frame = frame.filter(pl.col("intent").is_in(kept))
    return DataSet(
        "text_clinc150",
        "intent router",
        "multiclass",
        ("accuracy", "macro_f1", "log_loss"),
        _counted(frame.select("text", "intent")),
        (),
        (),
        "intent",
        tuple(str(k) for k in kept),
        ("text",),
        rows=3_000,
        train_rows=1_800,
        text="text",
    )


@data_set("text_sentiment_domains")
def sentiment() -> DataSet:
    """Sentiment of review sentences in three domains."""
    frame = table("text_sentiment_domains/sentences.parquet").filter(pl.col("positive") < 2)
    return DataSet(
        "text_sentiment_domains",
        "sentiment model",
        "binary",
        ("accuracy", "roc_auc", "f1"),
        _counted(frame.select("text", "positive")),
        (),
        (),
        "positive",
        (0, 1),
        ("text",),
        rows=1_500,
        train_rows=1_300,
        text="text",
    )


@data_set("clothing_products")
def clothing() -> DataSet:
    """Product photos, ten classes."""
    frame = table("clothing_products/images128.parquet")
    frame = frame.select(pl.col("jpeg128").alias("photo"), pl.col("label_name").alias("category"))
    return DataSet(
        "clothing_products",
        "category classifier",
        "multiclass",
        ("accuracy", "macro_f1"),
        frame,
        (),
        (),
        "category",
        tuple(frame["category"].unique().sort().to_list()),
        ("image",),
        rows=1_400,
        train_rows=1_900,
        image="photo",
    )


@data_set("intent_embeddings")
def embeddings() -> DataSet:
    """The intents again, as 48 numbers from an encoder fitted on their words."""
    text_tools = need("sklearn.feature_extraction.text", extra="sklearn")
    shrink = need("sklearn.decomposition", extra="sklearn")
    source = intents()
    words = text_tools.TfidfVectorizer(min_df=2).fit_transform(source.frame["text"].to_list())
    dense = shrink.TruncatedSVD(48, random_state=0).fit_transform(words)
    frame = source.frame.select(
        pl.Series("vector", dense.round(5).tolist(), dtype=pl.List(pl.Float64)),
        pl.col("intent"),
    )
    return DataSet(
        "intent_embeddings",
        "retrieval router",
        "multiclass",
        ("accuracy", "macro_f1"),
        frame,
        (),
        (),
        "intent",
        source.classes,
        ("vector",),
        rows=2_500,
        train_rows=1_800,
        embedding="vector",
    )
