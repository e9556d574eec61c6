"""ONNX networks of one multiplication, for tests that need a file and not a policy."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest


def save_linear(
    path: Path,
    weights: np.ndarray,
    *,
    nodes: list[Any] | None = None,
    input_name: str = "obs",
    input_shape: list[Any] | None = None,
    extra: list[Any] | None = None,
    opset: int = 17,
) -> Path:
    """Write a network ``obs`` · weights = ``act``.

    Args:
        path: of the file.
        weights: [Shape (observed, actions)]; stored as ``w``.
        nodes: instead of the multiplication; they begin at the input and end at ``act``.
        input_name, input_shape: of the input; ``obs`` and (1, observed) unless given.
        extra: further stored tensors.
        opset: version of the operators.

    Returns:
        The path.
    """
    onnx = pytest.importorskip("onnx", reason="onnx writes the networks of the tests")
    tensor = onnx.helper.make_tensor_value_info
    graph = onnx.helper.make_graph(
        nodes or [onnx.helper.make_node("MatMul", [input_name, "w"], ["act"])],
        "policy",
        [tensor(input_name, onnx.TensorProto.FLOAT, input_shape or [1, weights.shape[0]])],
        [tensor("act", onnx.TensorProto.FLOAT, None if nodes else [1, weights.shape[1]])],
        [onnx.numpy_helper.from_array(weights.astype(np.float32), "w"), *(extra or [])],
    )
    model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", opset)], ir_version=8)
    onnx.save(model, str(path))
    return path
