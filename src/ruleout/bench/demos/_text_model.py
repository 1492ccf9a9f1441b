"""A small text classifier as an ONNX graph: a transformer encoder with fixed weights and a fitted last layer.

The encoder's weights are drawn and stay as they are (an echo state network's idea); only the last layer
is fitted, to messages made from templates. So the whole model is made within a second, reads
whole sentences, and takes longer for longer inputs as any transformer does.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ruleout._errors import need
from ruleout.bench.demos._messages import CLASSES, messages
from ruleout.bench.demos._scene import Floats, Rng
from ruleout.bench.demos._tokens import Tokeniser, vocabulary

WIDTH, HEADS, LAYERS, LONGEST = 128, 4, 24, 1024
_SHARED = 2
"""Layers take turns in so many sets of weights, as in ALBERT: deep, and small on disk."""

_LEARNT = 160


def write_model(folder: Path, rng: Rng) -> Tokeniser:
    """Write `model.onnx` and `vocabulary.json` into `folder`; its classes are those of the messages."""
    texts, labels = messages(rng, _LEARNT)
    tokeniser = Tokeniser(vocabulary(texts))
    weights = _drawn(rng, len(tokeniser.words))
    path = folder / "model.onnx"
    path.write_bytes(_graph(weights))
    ids = [tokeniser(text) for text in texts]
    weights |= _fitted(_pooled(path, ids), np.array([CLASSES.index(x) for x in labels]))
    path.write_bytes(_graph(weights))
    (folder / "model_double.onnx").write_bytes(_graph(weights, np.float64))
    tokeniser.save(folder / "vocabulary.json")
    return tokeniser


def _drawn(rng: Rng, words: int) -> dict[str, Any]:
    def random(*shape: int, scale: float = 1.0) -> Any:
        return (rng.normal(0, scale / np.sqrt(shape[0]), shape)).astype(np.float32)

    found = {"words": rng.normal(0, 1, (words, WIDTH)).astype(np.float32)}
    place = np.arange(LONGEST)[:, None] / 1000 ** (np.arange(WIDTH)[None] / WIDTH)
    found["places"] = (0.1 * np.sin(place)).astype(np.float32)
    for layer in range(_SHARED):
        for name in ("q", "k", "v", "o"):
            found[f"{name}{layer}"] = random(WIDTH, WIDTH)
        found[f"up{layer}"] = random(WIDTH, 4 * WIDTH)
        found[f"down{layer}"] = random(4 * WIDTH, WIDTH, scale=0.5)
    return found


def _fitted(pooled: Floats, codes: Any, ridge: float = 1.0) -> dict[str, Any]:
    """The last layer: ridge regression of the classes' indicators, sharpened."""
    x = np.column_stack([np.ones(len(pooled)), pooled])
    target = np.eye(len(CLASSES))[codes]
    beta = np.linalg.solve(x.T @ x + ridge * np.eye(x.shape[1]), x.T @ target) * 8
    return {"head": beta[1:].astype(np.float32), "bias": beta[0].astype(np.float32)}


def _pooled(path: Path, ids: Sequence[Sequence[int]]) -> Floats:
    session = need("onnxruntime", extra="latency").InferenceSession(
        str(path), providers=["CPUExecutionProvider"]
    )
    rows = [session.run(None, {"tokens": np.array([one], dtype=np.int64)})[0][0] for one in ids]
    return np.asarray(rows, dtype=np.float64)


def _graph(weights: dict[str, Any], number: Any = np.float32) -> bytes:
    """The graph, serialised: tokens (1, n) to probabilities (1, classes), or to what the last layer reads."""
    onnx = need("onnx", extra="latency")
    helper, kinds = onnx.helper, onnx.TensorProto
    nodes = _Nodes(helper)
    constant = dict(weights)
    constant |= {
        "heads": np.array([0, 0, HEADS, WIDTH // HEADS], dtype=np.int64),
        "whole": np.array([0, 0, WIDTH], dtype=np.int64),
        "root": np.array(np.sqrt(WIDTH / HEADS), dtype=np.float32),
        "ones": np.ones(WIDTH, dtype=np.float32),
        "zero": np.array(0, dtype=np.int64),
        "one": np.array(1, dtype=np.int64),
        "middle": np.array([1], dtype=np.int64),
    }
    length = nodes("Gather", nodes("Shape", "tokens"), "one")
    place = nodes("Gather", "places", nodes("Range", "zero", length, "one"))
    x = nodes("Add", nodes("Gather", "words", "tokens"), place)
    for step in range(LAYERS):
        layer = step % _SHARED
        x = nodes("Add", x, _attend(nodes, x, layer))
        y = nodes("LayerNormalization", x, "ones")
        y = nodes("Relu", nodes("MatMul", y, f"up{layer}"))
        x = nodes("Add", x, nodes("MatMul", y, f"down{layer}"))
    x = nodes("ReduceMean", x, "middle", keepdims=0)
    wide = WIDTH
    if "head" in weights:
        x = nodes("Add", nodes("MatMul", x, "head"), "bias")
        x, wide = nodes("Softmax", x, axis=1), len(CLASSES)
    made = helper.make_graph(
        nodes.made,
        "messages",
        [helper.make_tensor_value_info("tokens", kinds.INT64, [1, "n"])],
        [
            helper.make_tensor_value_info(
                x, helper.np_dtype_to_tensor_dtype(np.dtype(number)), [1, wide]
            )
        ],
        [
            onnx.numpy_helper.from_array(
                value.astype(number) if value.dtype != np.int64 else value, name
            )
            for name, value in constant.items()
        ],
    )
    # An old pair of versions, so that every runtime from onnxruntime 1.18 on reads it.
    model = helper.make_model(made, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    return bytes(model.SerializeToString())


def _attend(nodes: _Nodes, x: str, layer: int) -> str:
    y = nodes("LayerNormalization", x, "ones")
    order = {"q": [0, 2, 1, 3], "k": [0, 2, 3, 1], "v": [0, 2, 1, 3]}
    part = {
        name: nodes(
            "Transpose", nodes("Reshape", nodes("MatMul", y, f"{name}{layer}"), "heads"), perm=perm
        )
        for name, perm in order.items()
    }
    score = nodes("Softmax", nodes("Div", nodes("MatMul", part["q"], part["k"]), "root"), axis=-1)
    mixed = nodes("Transpose", nodes("MatMul", score, part["v"]), perm=[0, 2, 1, 3])
    return nodes("MatMul", nodes("Reshape", mixed, "whole"), f"o{layer}")


class _Nodes:
    """Nodes as they are added; each call returns the name of the new node's output."""

    def __init__(self, helper: Any) -> None:
        self.made: list[Any] = []
        self._helper = helper

    def __call__(self, operation: str, *inputs: str, **settings: Any) -> str:
        name = f"{operation.lower()}_{len(self.made)}"
        self.made.append(self._helper.make_node(operation, list(inputs), [name], **settings))
        return name
