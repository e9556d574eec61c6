"""What an ONNX file says of itself: tensors, metadata, external data; nothing is run."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from humanoid_rl_ros.core.errors import PolicyError
from humanoid_rl_ros.policies.weights_file import LARGEST, external_files


@dataclass(frozen=True)
class OnnxFacts:
    """An ONNX file from outside.

    Attributes:
        inputs, outputs: shapes by name, in the file's order; None for a free axis.
        metadata: ``metadata_props``.
        external_data: files beside it that hold tensors.
        opset: version of the standard operators.
    """

    inputs: Mapping[str, tuple[int | None, ...]]
    outputs: Mapping[str, tuple[int | None, ...]]
    metadata: Mapping[str, str]
    external_data: tuple[Path, ...]
    opset: int

    @property
    def states(self) -> dict[str, str]:
        """Recurrent states: inputs that end in ``_in`` and the outputs of the same name that end in ``_out``."""
        pairs = {name: f"{name.removesuffix('_in')}_out" for name in self.inputs if name.endswith("_in")}
        return {name: output for name, output in pairs.items() if output in self.outputs}

    def width(self, name: str) -> int | None:
        """Numbers that an input takes or an output gives for one observation; None where it is free."""
        shape = {**self.inputs, **self.outputs}[name]
        rest = shape[1:] if len(shape) > 1 else shape
        product = 1
        for axis in rest:
            if axis is None:
                return None
            product *= axis
        return product


def read_onnx_facts(path: Path) -> OnnxFacts:
    """Read them.

    Raises:
        PolicyError: the file is no ONNX, is too large, names a metadata key twice with different values, or holds
            tensors in files that are not there or not beside it.
        ModuleNotFoundError: onnx is not installed.
    """
    import onnx

    if path.stat().st_size > LARGEST:
        raise PolicyError(f"{path}: larger than {LARGEST} bytes; not opened")
    content = path.read_bytes()
    try:
        model = onnx.load_from_string(content)
    except Exception as error:  # protobuf raises a type of its own
        raise PolicyError(f"{path}: not ONNX: {' '.join(str(error).split())}") from None
    stored = {tensor.name for tensor in model.graph.initializer}
    inputs = {value.name: _shape(value) for value in model.graph.input if value.name not in stored}
    outputs = {value.name: _shape(value) for value in model.graph.output}
    if not inputs or not outputs:
        raise PolicyError(f"{path}: not ONNX of a network: it has {len(inputs)} inputs and {len(outputs)} outputs")
    return OnnxFacts(
        inputs,
        outputs,
        _metadata(model, path),
        _external(content, path),
        max((entry.version for entry in model.opset_import if entry.domain in ("", "ai.onnx")), default=0),
    )


def _shape(value: Any) -> tuple[int | None, ...]:
    axes = value.type.tensor_type.shape.dim
    return tuple(axis.dim_value if axis.HasField("dim_value") else None for axis in axes)


def _metadata(model: Any, path: Path) -> dict[str, str]:
    found: dict[str, str] = {}
    for entry in model.metadata_props:
        if found.setdefault(entry.key, entry.value) != entry.value:
            raise PolicyError(f"{path}: its metadata names '{entry.key}' twice, with different values")
    return found


def _external(content: bytes, path: Path) -> tuple[Path, ...]:
    files = []
    for name in external_files(content):
        file = path.parent / name
        if file.resolve().parent != path.resolve().parent:
            raise PolicyError(f"{path}: holds tensors in '{name}', which is not beside it; not opened")
        if not file.is_file():
            raise PolicyError(f"{path}: holds tensors in '{name}', which is missing; put it beside the file")
        files.append(file)
    return tuple(files)
