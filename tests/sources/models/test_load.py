"""Loading models of every kind and asking them."""

import json
import pickle
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import polars as pl
import pytest

from ruleout._errors import ModelError, SourceError, Unreachable, Untrusted
from ruleout.incident._model import ModelSpec
from ruleout.sources.models import Model, load_model
from ruleout.sources.models._objects import as_pandas

FEATURES = ("amount", "device", "fresh")


@pytest.fixture(scope="module")
def frame() -> pl.DataFrame:
    rng = np.random.default_rng(3)
    n = 400
    return pl.DataFrame(
        {
            "amount": rng.normal(size=n),
            "device": rng.choice(["ios", "web", "tv"], n),
            "fresh": rng.random(n) > 0.5,
        }
    )


@pytest.fixture(scope="module")
def truth(frame: pl.DataFrame) -> np.ndarray:
    return ((frame["amount"] + (frame["device"] == "web")) > 0.3).to_numpy().astype(int)


@pytest.fixture(scope="module")
def fitted(frame: pl.DataFrame, truth: np.ndarray) -> Any:
    """A scikit-learn pipeline on mixed columns, as a user would train it."""
    pytest.importorskip("sklearn")
    from sklearn.compose import make_column_transformer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import OneHotEncoder, StandardScaler

    encode = make_column_transformer(
        (OneHotEncoder(handle_unknown="ignore"), ["device"]),
        (StandardScaler(), ["amount", "fresh"]),
    )
    return make_pipeline(encode, LogisticRegression()).fit(as_pandas(frame), truth)


def load(
    uri: Any,
    folder: Path = Path(),
    *,
    trust: bool = False,
    features: tuple[str, ...] = FEATURES,
    classes: tuple[str, ...] | None = ("0", "1"),
    raw: tuple[str, ...] = (),
) -> Model:
    return load_model(
        ModelSpec(uri=uri), folder, trust=trust, features=features, classes_hint=classes, raw=raw
    )


def test_onnx_with_one_input_a_column_repeats_the_model(
    frame: pl.DataFrame, fitted: Any, tmp_path: Path
) -> None:
    """Text, boolean and float inputs are found by name; labels, scores and class names come back."""
    to_onnx = pytest.importorskip("skl2onnx")
    from skl2onnx.common.data_types import BooleanTensorType, FloatTensorType, StringTensorType

    kinds = [
        ("device", StringTensorType([None, 1])),
        ("amount", FloatTensorType([None, 1])),
        ("fresh", BooleanTensorType([None, 1])),
    ]
    for zipmap in (True, False):
        graph = to_onnx.convert_sklearn(fitted, initial_types=kinds, options={"zipmap": zipmap})
        (tmp_path / "m.onnx").write_bytes(graph.SerializeToString())
        model = load("m.onnx", tmp_path)
        answer = model.predict(frame)
        assert answer.classes == ("0", "1")
        assert np.allclose(answer.scores, fitted.predict_proba(as_pandas(frame)), atol=1e-5)
        assert (answer.labels == fitted.predict(as_pandas(frame))).all()
    gap = frame.with_columns(fresh=pl.when(pl.col("amount") > 0).then("fresh"))
    blank = model.predict(gap).scores[:, 1]
    assert (np.isnan(blank) == gap["fresh"].is_null().to_numpy()).all()


def test_onnx_with_one_matrix_takes_the_features_in_order(
    frame: pl.DataFrame, truth: np.ndarray, tmp_path: Path
) -> None:
    """A 2-D input is filled in the order of the features, and refuses another width."""
    to_onnx = pytest.importorskip("skl2onnx")
    from skl2onnx.common.data_types import FloatTensorType
    from sklearn.linear_model import LinearRegression, LogisticRegression

    X = np.column_stack([frame["amount"], frame["fresh"]]).astype(np.float32)
    kinds = [("input", FloatTensorType([None, 2]))]
    names = np.where(truth, "yes", "no")
    model = LogisticRegression().fit(X, names)
    graph = to_onnx.convert_sklearn(model, initial_types=kinds, options={"zipmap": False})
    (tmp_path / "c.onnx").write_bytes(graph.SerializeToString())
    answer = load("c.onnx", tmp_path, features=("amount", "fresh"), classes=("yes", "no")).predict(
        frame
    )
    assert answer.classes == ("no", "yes")
    assert np.allclose(answer.scores, model.predict_proba(X), atol=1e-5)
    regression = LinearRegression().fit(X, X[:, 0] * 3)
    graph = to_onnx.convert_sklearn(regression, initial_types=kinds)
    (tmp_path / "r.onnx").write_bytes(graph.SerializeToString())
    value = load("r.onnx", tmp_path, features=("amount", "fresh"), classes=None).predict(frame)
    assert value.scores is None
    assert np.allclose(value.labels, regression.predict(X), atol=1e-4)
    with pytest.raises(ModelError, match="takes 2 numbers a row, the features are 1"):
        load("c.onnx", tmp_path, features=("amount",)).predict(frame)
    # A head on numbers that were taken from a picture has no place for the picture.
    seen = frame.with_columns(photo=pl.lit(b"png"))
    head = load("c.onnx", tmp_path, features=("amount", "fresh", "photo"), raw=("photo",))
    assert np.allclose(head.predict(seen).scores, answer.scores)


def test_lightgbm_codes_text_as_pandas_did(
    frame: pl.DataFrame, truth: np.ndarray, tmp_path: Path
) -> None:
    """Categories in the file turn text into training codes; unseen ones become missing."""
    lightgbm = pytest.importorskip("lightgbm")
    import pandas as pd

    table = as_pandas(frame).assign(device=pd.Categorical(frame["device"].to_list()))
    model = lightgbm.LGBMClassifier(n_estimators=8, verbose=-1).fit(table, truth)
    model.booster_.save_model(tmp_path / "m.txt")
    answer = load("m.txt", tmp_path).predict(frame)
    assert np.allclose(answer.scores, model.predict_proba(table)[:, 1])
    strange = frame.with_columns(device=pl.lit("fridge"))
    expected = model.predict_proba(table.assign(device=pd.Categorical(["fridge"] * len(table))))
    assert np.allclose(load("m.txt", tmp_path).predict(strange).scores, expected[:, 1])


@pytest.mark.parametrize("suffix", ["json", "ubj"])
def test_xgboost_codes_text_from_the_file(
    frame: pl.DataFrame, truth: np.ndarray, tmp_path: Path, suffix: str
) -> None:
    """Both native formats repeat the model, categories included."""
    xgboost = pytest.importorskip("xgboost")
    import pandas as pd

    table = as_pandas(frame).assign(device=pd.Categorical(frame["device"].to_list()))
    three = truth + (frame["device"] == "tv").to_numpy()
    for target, classes in ((truth, ("0", "1")), (three, ("2", "1", "0"))):
        model = xgboost.XGBClassifier(n_estimators=6, enable_categorical=True).fit(table, target)
        model.save_model(tmp_path / f"m.{suffix}")
        answer = load(f"m.{suffix}", tmp_path, classes=classes).predict(frame)
        expected = model.predict_proba(table)
        two = answer.scores.ndim == 1
        assert np.allclose(answer.scores, expected[:, 1] if two else expected, atol=1e-6)
        assert answer.classes is None


def test_boosters_name_missing_columns_and_text_they_cannot_read(
    frame: pl.DataFrame, truth: np.ndarray, tmp_path: Path
) -> None:
    """A missing input is named with its nearest column, text in a numeric input with an example."""
    lightgbm = pytest.importorskip("lightgbm")
    table = as_pandas(frame.select("amount", "fresh"))
    model = lightgbm.LGBMClassifier(n_estimators=3, verbose=-1).fit(table, truth)
    model.booster_.save_model(tmp_path / "m.txt")
    loaded = load("m.txt", tmp_path)
    with pytest.raises(ModelError, match=r"needs 'amount' .nearest column: 'amounts'"):
        loaded.predict(frame.rename({"amount": "amounts"}))
    with pytest.raises(ModelError, match=r"'amount' as a number, but the column holds text.*'web'"):
        loaded.predict(frame.with_columns(amount=pl.lit("web")))


def test_skops_loads_scikit_learn_and_refuses_strangers(
    frame: pl.DataFrame, fitted: Any, tmp_path: Path
) -> None:
    """Scikit-learn's own types load without trust; anything else is refused by name."""
    skops = pytest.importorskip("skops.io")
    from sklearn.preprocessing import FunctionTransformer

    skops.dump(fitted, tmp_path / "m.skops")
    answer = load("m.skops", tmp_path).predict(frame)
    assert np.allclose(answer.scores, fitted.predict_proba(as_pandas(frame)))
    skops.dump(FunctionTransformer(func=json.dumps), tmp_path / "evil.skops")
    with pytest.raises(Untrusted, match=r"json\.dumps.*--trust-model"):
        load("evil.skops", tmp_path)


class Trap:
    """Unpickling this writes a file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return (Path.touch, (self.path,))


def save_as_mlflow(folder: Path, loader: str, file: str, inputs: tuple[str, ...] = ()) -> None:
    """The folder that MLflow writes for a model, without its file."""
    folder.mkdir()
    columns = json.dumps([{"type": "double", "name": name, "required": True} for name in inputs])
    flavour = f"flavors:\n  python_function:\n    data: {file}\n    loader_module: {loader}\n"
    told = f"signature:\n  inputs: '{columns}'\n" if inputs else ""
    (folder / "MLmodel").write_text(flavour + told)


def test_a_model_that_mlflow_kept_without_code_needs_no_trust(
    frame: pl.DataFrame, truth: np.ndarray, tmp_path: Path
) -> None:
    """A booster's own text within an MLflow folder is read as it is, its inputs by the signature."""
    lightgbm = pytest.importorskip("lightgbm")
    x = frame.select("amount", fresh=pl.col("fresh").cast(pl.Float64)).to_numpy()
    booster = lightgbm.train(
        {"objective": "binary", "verbose": -1, "num_threads": 1}, lightgbm.Dataset(x, truth), 20
    )
    save_as_mlflow(tmp_path / "saved", "mlflow.lightgbm", "model.lgb", ("amount", "fresh"))
    booster.save_model(tmp_path / "saved" / "model.lgb")
    spec = ModelSpec(uri="saved")
    model = load_model(spec, tmp_path, trust=False, features=("fresh", "amount"))
    told = model.predict(frame.with_columns(pl.col("fresh").cast(pl.Float64)))
    assert told.scores is not None
    assert np.allclose(np.asarray(told.scores).reshape(len(x), -1)[:, -1], booster.predict(x))


def test_an_mlflow_folder_names_no_file_outside_of_it(tmp_path: Path) -> None:
    """A model's file is looked for in its folder alone."""
    (tmp_path / "model.lgb").write_text("tree")
    save_as_mlflow(tmp_path / "saved", "mlflow.lightgbm", "../model.lgb")
    with pytest.raises(SourceError, match="outside"):
        load("saved", tmp_path)
    (tmp_path / "saved" / "MLmodel").write_text("flavors: [")
    with pytest.raises(SourceError, match="not readable"):
        load("saved", tmp_path)


def test_nothing_is_executed_without_trust(tmp_path: Path) -> None:
    """Pickles, modules, callables and MLflow models are refused before they are opened."""
    sprung = tmp_path / "sprung"
    (tmp_path / "m.pkl").write_bytes(pickle.dumps(Trap(sprung)))
    (tmp_path / "trap_module.py").write_text("raise SystemExit('executed')")
    save_as_mlflow(tmp_path / "saved", "mlflow.pyfunc.model", "m.pkl")
    (tmp_path / "saved" / "m.pkl").write_bytes(pickle.dumps(Trap(sprung)))
    refused = ["m.pkl", "absent.joblib", "python:trap_module:f", "saved", len]
    for uri in refused:
        with pytest.raises(Untrusted, match="--trust-model"):
            load(uri, tmp_path)
    assert not sprung.exists()


def test_trusted_files_and_functions_score(
    frame: pl.DataFrame, fitted: Any, tmp_path: Path
) -> None:
    """With trust, joblib files, functions beside the incident, and callables all work."""
    joblib = pytest.importorskip("joblib")
    joblib.dump(fitted, tmp_path / "m.joblib")
    expected = fitted.predict_proba(as_pandas(frame))
    assert np.allclose(load("m.joblib", tmp_path, trust=True).predict(frame).scores, expected)
    (tmp_path / "beside.py").write_text("def serve(rows):\n    return rows['amount'] / 10 + 0.4\n")
    found = load("python:beside:serve", tmp_path, trust=True).predict(frame)
    assert np.allclose(
        found.labels if found.scores is None else found.scores, frame["amount"] / 10 + 0.4
    )
    assert str(tmp_path) not in sys.path
    method = load(fitted.predict_proba, trust=True).predict(frame)
    assert np.allclose(method.scores, expected)
    pandas_only = load(lambda rows: rows.assign(p=0.25)["p"], trust=True).predict(frame)
    assert (pandas_only.scores == 0.25).all()
    with pytest.raises(ModelError, match=r"KeyError|ColumnNotFound|nothing"):
        load(lambda rows: rows["nothing"], trust=True).predict(frame)
    with pytest.raises(ModelError, match="answered 1 rows for 400"):
        load(lambda rows: [0.5], trust=True).predict(frame)


class Endpoint(BaseHTTPRequestHandler):
    """An MLflow scoring server that adds two columns."""

    sizes: ClassVar[list[int]] = []

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))["dataframe_split"]
        rows = body["data"]
        self.sizes.append(len(rows))
        broken = body["columns"][0] == "broken"
        answer = {"predictions": [1.0 if row[0] is None else 0.5 + row[0] / 100 for row in rows]}
        self.send_response(400 if broken else 200)
        self.end_headers()
        self.wfile.write(b"no such input" if broken else json.dumps(answer).encode())

    def log_message(self, *args: object) -> None:
        """Keep the test output clean."""


@pytest.fixture
def endpoint() -> Iterator[str]:
    server = HTTPServer(("127.0.0.1", 0), Endpoint)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


def test_endpoint_is_asked_in_batches(endpoint: str) -> None:
    """Rows travel as dataframe_split in batches; NaN travels as null; scores come back in order."""
    Endpoint.sizes.clear()
    amount = np.linspace(-3, 3, 4_500)
    amount[7] = np.nan
    frame = pl.DataFrame({"amount": amount})
    scores = load(endpoint, features=("amount",)).predict(frame).scores
    assert Endpoint.sizes == [2_000, 2_000, 500]
    assert np.allclose(scores, np.where(np.isnan(amount), 1.0, 0.5 + amount / 100))


def test_endpoint_errors_say_what_happened(endpoint: str) -> None:
    """A refusal of the rows and a closed port are told apart."""
    frame = pl.DataFrame({"broken": [1.0]})
    with pytest.raises(ModelError, match="answered 400: no such input"):
        load(endpoint, features=("broken",)).predict(frame)
    with pytest.raises(Unreachable, match="does not answer"):
        load("http://user:secret@127.0.0.1:9/x", features=("broken",)).predict(frame)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("m.onnx", b"not a graph", "not a readable ONNX model"),
        ("m.txt", b"hello", "first line is not 'tree'"),
        ("m.json", b"{", "not a readable XGBoost model"),
        ("m.skops", b"PK", "not a readable skops file"),
        ("m.h5", b"", "no way to load a model"),
    ],
)
def test_unreadable_files_are_named(
    tmp_path: Path, name: str, content: bytes, message: str
) -> None:
    """A broken or foreign file gives an error that names it."""
    (tmp_path / name).write_bytes(content)
    with pytest.raises(SourceError, match=message):
        load(name, tmp_path)


def test_missing_file_names_the_nearest(tmp_path: Path) -> None:
    """A misspelt file name is answered with the file that is there."""
    (tmp_path / "model_v7.onnx").write_bytes(b"")
    with pytest.raises(SourceError, match=r"nearest file is 'model_v7\.onnx'"):
        load("model_v8.onnx", tmp_path)


def test_no_rows_give_no_answer() -> None:
    """An empty frame is not sent to the model."""
    answer = load(lambda rows: rows, trust=True).predict(
        pl.DataFrame(schema=dict.fromkeys(FEATURES, pl.Float64))
    )
    assert answer == (None, None, None)
