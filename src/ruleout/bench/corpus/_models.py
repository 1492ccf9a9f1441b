"""Training the corpus' models and answering with the very artefact that is shipped."""

from __future__ import annotations

import io
import warnings
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from ruleout._errors import need
from ruleout.bench.corpus._dataset import DataSet
from ruleout.prevention.inject import Answers


@dataclass(frozen=True)
class Fitted:
    """A trained artefact; `predict` maps a frame to class probabilities (n, K) or values (n,)."""

    version: str
    path: Path | None
    threshold: float
    classes: tuple[Any, ...]
    predict: Callable[[pl.DataFrame], NDArray[np.float64]] = field(repr=False)

    def answer(self, frame: pl.DataFrame) -> Answers:
        """Answer every row of `frame`."""
        values = self.predict(frame)
        if not self.classes:
            return Answers(values.reshape(-1).astype(np.float64))
        if len(self.classes) == 2:
            return Answers((values[:, 1] >= self.threshold).astype(np.int64), values)
        return Answers(values.argmax(axis=1).astype(np.int64), values)


class Trainer:
    """Fits models of one data set and one kind, and keeps them in a folder."""

    def __init__(self, data: DataSet, kind: str, folder: Path) -> None:
        self.data = data
        self.kind = kind
        self.folder = folder
        self._kept: dict[str, Fitted] = {}

    def __call__(
        self,
        frame: pl.DataFrame,
        *,
        name: str,
        version: str = "7",
        features: Sequence[str] | None = None,
        weight: NDArray[np.float64] | None = None,
        size: float = 1.0,
    ) -> Fitted:
        """Fit on `frame` (or on its first share `size`; negative: stop much too early)."""
        if name not in self._kept:
            chosen = tuple(features or self.data.features)
            short = zlib.crc32(f"{name}|{chosen}".encode()) % 10**8
            self.folder.mkdir(parents=True, exist_ok=True)
            stem = self.folder / f"{self.data.name}-{self.kind}-{short:08d}"
            rows = frame if size <= 0 else frame.head(max(round(frame.height * size), 40))
            weights = None if weight is None else weight[: rows.height]
            fitter = _FITTERS[self.kind]
            path, predict = fitter(self.data, rows, chosen, stem, weights, size < 0)
            self._kept[name] = Fitted(
                version, path, self.data.threshold, self.data.classes, predict
            )
        return self._kept[name]

    @cached_property
    def nature(self) -> Callable[[pl.DataFrame], NDArray[np.float64]]:
        """The world's own rule, learned from all clean rows: probabilities (n, K) or values."""
        stem = self.folder / f"{self.data.name}-nature"
        self.folder.mkdir(parents=True, exist_ok=True)
        features = (*self.data.numeric, *self.data.categorical)
        if not features:
            return lambda frame: np.full((frame.height, len(self.data.classes)), np.nan)
        fitter = _clocked if "datetime" in self.data.hours.values() else _boosted
        return fitter(self.data, self.data.frame, features, stem, None, early=False)[1]


_WORDS: dict[str, Any] = {"token_pattern": "[a-zA-Z0-9]+", "min_df": 2, "lowercase": False}
"""Case is folded before: the runtime's own folding needs a locale that machines may lack."""

_Fit = tuple[Path | None, Callable[[pl.DataFrame], NDArray[np.float64]]]


def _labels(data: DataSet, frame: pl.DataFrame) -> NDArray[Any]:
    if not data.classes:
        return frame[data.target].cast(pl.Float64).to_numpy()
    names = {str(c): k for k, c in enumerate(data.classes)}
    return np.array([names[v] for v in frame[data.target].cast(pl.String).to_list()])


def _pandas(data: DataSet, frame: pl.DataFrame, features: Sequence[str], known: Any) -> Any:
    """The columns as LightGBM reads them: floats and categories."""
    pandas = need("pandas", extra="pandas")
    columns = {}
    for name in features:
        if name in data.categorical:
            text = frame[name].cast(pl.String).to_list()
            columns[name] = pandas.Categorical(text, categories=known[name])
        else:
            columns[name] = frame[name].cast(pl.Float64, strict=False).to_numpy()
    return pandas.DataFrame(columns)


def _boosted(
    data: DataSet,
    frame: pl.DataFrame,
    features: Sequence[str],
    stem: Path,
    weight: NDArray[np.float64] | None,
    *,
    early: bool,
) -> _Fit:
    lightgbm = need("lightgbm", extra="lightgbm")
    known = {
        n: sorted(v for v in frame[n].cast(pl.String).unique().to_list() if v is not None)
        for n in features
        if n in data.categorical
    }
    path = stem.with_suffix(".txt")
    if not path.exists():
        k = len(data.classes)
        objective = {0: "regression", 2: "binary"}.get(k, "multiclass")
        options: dict[str, Any] = {
            "objective": objective,
            "num_leaves": 24,
            "learning_rate": 0.1,
            "min_data_in_leaf": 20,
            "verbosity": -1,
            "num_threads": 1,
            "seed": 1,
            "deterministic": True,
        }
        if k > 2:
            options["num_class"] = k
        table = lightgbm.Dataset(
            _pandas(data, frame, features, known), _labels(data, frame), weight=weight
        )
        booster = lightgbm.train(options, table, num_boost_round=4 if early else 80)
        booster.save_model(str(path))
    loaded = lightgbm.Booster(model_file=str(path))

    def predict(rows: pl.DataFrame) -> NDArray[np.float64]:
        raw = np.asarray(loaded.predict(_pandas(data, rows, features, known), num_threads=1))
        return np.column_stack([1 - raw, raw]) if len(data.classes) == 2 else raw

    return path, predict


def _xgboost(
    data: DataSet,
    frame: pl.DataFrame,
    features: Sequence[str],
    stem: Path,
    weight: NDArray[np.float64] | None,
    *,
    early: bool,
) -> _Fit:
    xgboost = need("xgboost", extra="xgboost")
    path = stem.with_suffix(".json")

    def matrix(rows: pl.DataFrame, label: Any = None) -> Any:
        x = rows.select(pl.col(list(features)).cast(pl.Float64, strict=False)).to_numpy()
        return xgboost.DMatrix(x, label=label, feature_names=list(features))

    if not path.exists():
        options = {"objective": "binary:logistic", "max_depth": 5, "nthread": 1, "seed": 1}
        table = matrix(frame, _labels(data, frame))
        if weight is not None:
            table.set_weight(weight)
        xgboost.train(options, table, num_boost_round=3 if early else 60).save_model(str(path))
    loaded = xgboost.Booster(model_file=str(path))

    def predict(rows: pl.DataFrame) -> NDArray[np.float64]:
        p = np.asarray(loaded.predict(matrix(rows)), dtype=np.float64)
        return np.column_stack([1 - p, p])

    return path, predict


def _estimator(kind: str, data: DataSet, *, early: bool) -> Any:
    linear = need("sklearn.linear_model", extra="sklearn")
    if not data.classes:
        if kind == "forest":
            forest = need("sklearn.ensemble", extra="sklearn").RandomForestRegressor
            return forest(2 if early else 40, min_samples_leaf=4, random_state=0, n_jobs=1)
        return linear.Ridge(1e5 if early else 1.0)
    if kind == "forest":
        forest = need("sklearn.ensemble", extra="sklearn").RandomForestClassifier
        depth = 2 if early else 12
        return forest(3 if early else 50, max_depth=depth, min_samples_leaf=4, random_state=0)
    if kind == "neural":
        network = need("sklearn.neural_network", extra="sklearn").MLPClassifier
        return network((24, 12), max_iter=1 if early else 25, random_state=0)
    return linear.LogisticRegression(C=1e-4 if early else 1.0, max_iter=300)


def _columns(data: DataSet, frame: pl.DataFrame, features: Sequence[str]) -> dict[str, Any]:
    """Each column as ONNX takes it: (n, 1) float32 or text, null as NaN or empty."""
    feed: dict[str, Any] = {}
    for name in features:
        column = frame[name]
        if name in data.categorical or name == data.text:
            text = column.cast(pl.String).fill_null("").to_list()
            feed[name] = np.array(text, dtype=object)[:, None]
        else:
            numbers = column.cast(pl.Float64, strict=False).to_numpy()
            feed[name] = numbers.astype(np.float32)[:, None]
    return feed


def _pipeline(data: DataSet, features: Sequence[str], kind: str, *, early: bool) -> Any:
    pipe = need("sklearn.pipeline", extra="sklearn")
    prepare = need("sklearn.preprocessing", extra="sklearn")
    impute = need("sklearn.impute", extra="sklearn")
    compose = need("sklearn.compose", extra="sklearn")
    if kind == "text":
        words = need("sklearn.feature_extraction.text", extra="sklearn")
        vector = words.TfidfVectorizer(**_WORDS)
        model = _estimator("linear", data, early=early)
        model.C = 1e-3 if early else 20.0
        return pipe.Pipeline([("words", vector), ("model", model)])
    numeric = [n for n in features if n not in data.categorical]
    text = [n for n in features if n in data.categorical]
    scale = pipe.Pipeline([("fill", impute.SimpleImputer()), ("scale", prepare.StandardScaler())])
    encode = prepare.OneHotEncoder(handle_unknown="ignore", min_frequency=None)
    parts = [("numeric", scale, numeric)] if numeric else []
    if text:
        parts.append(("text", encode, text))
    columns = compose.ColumnTransformer(parts, sparse_threshold=0.0)
    return pipe.Pipeline([("columns", columns), ("model", _estimator(kind, data, early=early))])


def _onnx(
    data: DataSet,
    frame: pl.DataFrame,
    features: Sequence[str],
    stem: Path,
    weight: NDArray[np.float64] | None,
    *,
    kind: str,
    early: bool,
) -> _Fit:
    """Fit a scikit-learn pipeline and ship it as ONNX with one input a column (or one matrix)."""
    pandas = need("pandas", extra="pandas")
    path = stem.with_suffix(".onnx")
    used = (data.text,) if kind == "text" and data.text else tuple(features)
    matrix = kind != "text" and not any(n in data.categorical for n in used)
    if not path.exists():
        feed = _columns(data, frame, used)
        pipeline = _pipeline(data, used, kind, early=early)
        x: Any = pandas.DataFrame({n: v[:, 0] for n, v in feed.items()})
        if kind == "text":
            x = x[used[0]].to_list()
        elif matrix:
            x = pandas.DataFrame(np.column_stack([feed[n] for n in used]), columns=list(used))
        options = {} if weight is None else {"model__sample_weight": weight}
        y = _labels(data, frame)
        if data.classes and isinstance(data.classes[0], str):
            y = np.array([str(data.classes[k]) for k in y])
        with warnings.catch_warnings():
            # Few epochs are enough for a corpus; that they have not converged is known.
            warnings.filterwarnings("ignore", message=".*(converge|iterations).*")
            pipeline.fit(x, y, **options)
        _save(pipeline, path, feed, data, matrix=matrix)
    return path, _session(path, data, used, matrix=matrix)


def _save(pipeline: Any, path: Path, feed: dict[str, Any], data: DataSet, *, matrix: bool) -> None:
    convert = need("skl2onnx", extra="onnx")
    types = need("skl2onnx.common.data_types", extra="onnx")
    if matrix:
        inputs = [("inputs", types.FloatTensorType([None, len(feed)]))]
        if hasattr(pipeline, "steps") and pipeline.steps[0][0] == "columns":
            names = list(feed)
            columns = pipeline.steps[0][1]
            columns.transformers_ = [
                (a, b, [names.index(n) for n in c] if not isinstance(c, str) else c)
                for a, b, c in columns.transformers_
            ]
    else:
        inputs = [
            (
                n,
                types.FloatTensorType([None, 1])
                if v.dtype == np.float32
                else types.StringTensorType([None, 1]),
            )
            for n, v in feed.items()
        ]
    final = pipeline.steps[-1][1]
    options = {id(final): {"zipmap": False}} if data.classes else None
    graph = convert.to_onnx(pipeline, initial_types=inputs, options=options, target_opset=17)
    path.write_bytes(graph.SerializeToString())


def _session(
    path: Path, data: DataSet, used: Sequence[str], *, matrix: bool
) -> Callable[[pl.DataFrame], NDArray[np.float64]]:
    runtime = need("onnxruntime", extra="onnx")
    settings = runtime.SessionOptions()
    settings.intra_op_num_threads = 1
    settings.log_severity_level = 3
    session = runtime.InferenceSession(str(path), settings, providers=["CPUExecutionProvider"])
    order = None
    if data.classes and isinstance(data.classes[0], str):
        order = [sorted(str(c) for c in data.classes).index(str(c)) for c in data.classes]

    def predict(rows: pl.DataFrame) -> NDArray[np.float64]:
        feed = _columns(data, rows, used)
        if matrix:
            feed = {"inputs": np.column_stack([feed[n] for n in used])}
        out = session.run(None, feed)
        values = np.asarray(out[1] if data.classes else out[0], dtype=np.float64)
        return values[:, order] if order is not None else values

    return predict


def _thumbnails(data: DataSet, frame: pl.DataFrame) -> NDArray[np.float64]:
    """Small colour pictures and histograms of edge directions (n, 768) of the encoded images."""
    return np.array([_thumbnail(value) for value in frame[str(data.image)].to_list()])


@lru_cache(maxsize=8_192)
def _thumbnail(value: bytes) -> NDArray[np.float64]:
    image = need("PIL.Image", extra="images")
    picture = image.open(io.BytesIO(value)).convert("RGB")
    small = np.asarray(picture.resize((8, 8)), dtype=np.float64) / 255.0
    grey = np.asarray(picture.convert("L").resize((64, 64)), dtype=np.float64) / 255.0
    return np.concatenate([small.ravel(), _directions(grey)])


def _directions(grey: NDArray[np.float64]) -> NDArray[np.float64]:
    """Histograms of edge directions in 8 by 8 cells (Dalal and Triggs, 2005), unit length each."""
    down, right = np.gradient(grey)
    size = np.hypot(down, right)
    bins = ((np.arctan2(down, right) % np.pi) / np.pi * 9).astype(int) % 9
    found = np.zeros((8, 8, 9))
    cell = np.arange(64) // 8
    np.add.at(found, (cell[:, None], cell[None, :], bins), size)
    lengths = np.sqrt((found**2).sum(axis=2, keepdims=True)) + 0.1
    return np.asarray((found / lengths).ravel())


def _plain(
    data: DataSet,
    frame: pl.DataFrame,
    weight: NDArray[np.float64] | None,
    read: Callable[[pl.DataFrame], NDArray[np.float64]],
    *,
    early: bool,
) -> _Fit:
    """A model that stays in memory: nothing of it is shipped with the incident."""
    pipe = need("sklearn.pipeline", extra="sklearn")
    prepare = need("sklearn.preprocessing", extra="sklearn")
    model = need("sklearn.linear_model", extra="sklearn").LogisticRegression(
        C=1e-5 if early else 0.05, max_iter=200
    )
    fitted = pipe.make_pipeline(prepare.StandardScaler(), model)
    fitted.fit(read(frame), _labels(data, frame), logisticregression__sample_weight=weight)
    seen = [int(k) for k in fitted.classes_]

    def predict(rows: pl.DataFrame) -> NDArray[np.float64]:
        given = np.asarray(fitted.predict_proba(read(rows)), dtype=np.float64)
        full = np.zeros((len(given), len(data.classes)))
        full[:, seen] = given
        return full

    return None, predict


def _vectors(data: DataSet) -> Callable[[pl.DataFrame], NDArray[np.float64]]:
    return lambda rows: np.array(rows[str(data.embedding)].to_list(), dtype=np.float64)


def _clocked(
    data: DataSet,
    frame: pl.DataFrame,
    features: Sequence[str],
    stem: Path,
    weight: NDArray[np.float64] | None,
    *,
    early: bool,
) -> _Fit:
    """A service that reads hours from datetimes itself: nothing of it is shipped."""
    own = [n for n in features if n not in data.hours]
    hours = [f"hour_of_{n}" for n in features if n in data.hours]

    def read(rows: pl.DataFrame) -> pl.DataFrame:
        made = [pl.col(n).dt.hour().cast(pl.Int64).alias(f"hour_of_{n}") for n in data.hours]
        return rows.with_columns(made)

    inner = _boosted(data, read(frame), [*own, *hours], stem, weight, early=early)[1]
    return None, lambda rows: inner(read(rows))


_FITTERS: dict[str, Callable[..., _Fit]] = {
    "boosted": lambda d, f, n, s, w, e: _boosted(d, f, n, s, w, early=e),
    "xgboost": lambda d, f, n, s, w, e: _xgboost(d, f, n, s, w, early=e),
    "linear": lambda d, f, n, s, w, e: _onnx(d, f, n, s, w, kind="linear", early=e),
    "forest": lambda d, f, n, s, w, e: _onnx(d, f, n, s, w, kind="forest", early=e),
    "neural": lambda d, f, n, s, w, e: _onnx(d, f, n, s, w, kind="neural", early=e),
    "clocked": lambda d, f, n, s, w, e: _clocked(d, f, n, s, w, early=e),
    "text": lambda d, f, n, s, w, e: _onnx(d, f, n, s, w, kind="text", early=e),
    "image": lambda d, f, _n, _s, w, e: _plain(d, f, w, lambda r: _thumbnails(d, r), early=e),
    "vector": lambda d, f, _n, _s, w, e: _plain(d, f, w, _vectors(d), early=e),
}
