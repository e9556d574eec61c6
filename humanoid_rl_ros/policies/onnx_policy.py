"""A policy stored as ONNX, run on one thread."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import cast

import numpy as np
import onnxruntime

from humanoid_rl_ros.core.arrays import Float32Array
from humanoid_rl_ros.core.errors import PolicyError, did_you_mean


class OnnxPolicy:
    """One ONNX network.

    Args:
        path: the file; external data is looked for beside it.
        observation_size, action_size: what the bundle says; checked against the file and by one call.
        input_name, output_name: which tensors; empty when the file has only one that can be meant.
        inputs: tensors that share the observation, in its order, and how many numbers each takes; instead of
            `input_name`.
        recurrent: for each input that carries state, the output that gives its next value.

    Raises:
        PolicyError: the file cannot be read, or its tensors do not fit.
    """

    def __init__(
        self,
        path: Path,
        *,
        observation_size: int,
        action_size: int,
        input_name: str = "",
        output_name: str = "",
        inputs: Mapping[str, int] | None = None,
        recurrent: Mapping[str, str] | None = None,
    ) -> None:
        self._path = path
        self._recurrent = dict(recurrent or {})
        options = onnxruntime.SessionOptions()
        # More threads than one steal the cores from the control loop and gain nothing on networks of this size.
        options.intra_op_num_threads = 1
        options.inter_op_num_threads = 1
        options.execution_mode = onnxruntime.ExecutionMode.ORT_SEQUENTIAL
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        options.log_severity_level = 4  # what goes wrong is raised, in one line
        try:
            self._session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        except Exception as error:  # onnxruntime raises a different type for each way a file can be wrong
            raise PolicyError(f"{path}: onnxruntime refuses it: {' '.join(str(error).split())}") from None
        tensors = {tensor.name: tensor for tensor in self._session.get_inputs()}
        outputs = {tensor.name: tensor for tensor in self._session.get_outputs()}
        shares = inputs or {self._pick(input_name, tensors, set(self._recurrent), "input"): observation_size}
        for name in shares:
            self._pick(name, tensors, set(self._recurrent), "input")
        self._output = self._pick(output_name, outputs, set(self._recurrent.values()), "output")
        edges = [int(edge) for edge in np.cumsum([0, *shares.values()])]
        self._observation_size = observation_size
        self._parts = [
            (name, slice(start, stop), self._shape_of(tensors[name], stop - start))
            for name, start, stop in zip(shares, edges, edges[1:], strict=False)
        ]
        self._batched = all(
            len(tensors[name].shape) > 1 and not isinstance(tensors[name].shape[0], int) for name in shares
        )
        self._action_size = action_size
        self._fetch = [self._output, *self._recurrent.values()]
        self._initial = {name: self._zeros(tensors, name) for name in self._recurrent}
        self._state = dict(self._initial)
        for name in tensors:
            if name not in shares and name not in self._recurrent:
                raise PolicyError(
                    f"{path}: input '{name}' is given no value; list it under 'recurrent' or 'inputs' in policy.yaml"
                )
        self.infer(np.zeros(observation_size, dtype=np.float32))
        self.reset()

    def _pick(self, wanted: str, tensors: Mapping[str, object], taken: set[str], what: str) -> str:
        for name in taken:
            if name not in tensors:
                raise PolicyError(f"{self._path}: no {what} named '{name}'; {did_you_mean(name, tensors)}")
        if wanted:
            if wanted not in tensors:
                raise PolicyError(f"{self._path}: no {what} named '{wanted}'; {did_you_mean(wanted, tensors)}")
            return wanted
        free = [name for name in tensors if name not in taken]
        if len(free) != 1:
            raise PolicyError(
                f"{self._path}: say which {what} is meant in policy.yaml; the file has {', '.join(tensors)}"
            )
        return free[0]

    def _shape_of(self, tensor: onnxruntime.NodeArg, size: int) -> tuple[int, ...]:
        """The shape of a tensor that takes so many numbers of one observation."""
        if tensor.type != "tensor(float)":
            raise PolicyError(f"{self._path}: input '{tensor.name}' is {tensor.type}, expected tensor(float)")
        axes = list(tensor.shape)
        if not 1 <= len(axes) <= 3:
            raise PolicyError(
                f"{self._path}: input '{tensor.name}' has {len(axes)} axes, expected (batch, observation)"
            )
        # One free axis at the front is the batch; a free one at the end takes what is left.
        shape = [axis if isinstance(axis, int) else 1 for axis in axes]
        if not isinstance(axes[-1], int) and size % math.prod(shape[:-1]) == 0:
            shape[-1] = size // math.prod(shape[:-1])
        if math.prod(shape) != size:
            raise PolicyError(
                f"{self._path}: input '{tensor.name}' takes {math.prod(shape)} numbers, but the observation has {size}"
            )
        return tuple(shape)

    def _zeros(self, inputs: Mapping[str, onnxruntime.NodeArg], name: str) -> Float32Array:
        shape = [axis if isinstance(axis, int) else 1 for axis in inputs[name].shape]
        return np.zeros(shape, dtype=np.float32)

    def reset(self) -> None:
        """Set the recurrent state to zero."""
        self._state = dict(self._initial)

    def infer(self, observation: Float32Array) -> Float32Array:
        """The action for an observation.

        Args:
            observation: [Shape (obs,)].

        Returns:
            [Shape (act,)].

        Raises:
            PolicyError: the observation has another width, or the network fails or gives the wrong number of values.
        """
        if observation.shape != (self._observation_size,):
            expected = (self._observation_size,)
            raise PolicyError(f"{self._path}: an observation of shape {observation.shape}, expected {expected}")
        feed = {name: observation[part].reshape(shape) for name, part, shape in self._parts}
        action, *state = self._run({**feed, **self._state})
        if self._recurrent:
            self._state = dict(zip(self._recurrent, state, strict=True))
        if action.size != self._action_size:
            raise PolicyError(
                f"{self._path}: output '{self._output}' gives {action.size} numbers, "
                f"but {self._action_size} joints are driven"
            )
        return np.asarray(action, dtype=np.float32).reshape(self._action_size)

    def infer_batch(self, observations: Float32Array) -> Float32Array:
        """The actions for observations that have nothing to do with each other, in one call where the file allows it.

        Args:
            observations: [Shape (b, obs)].

        Returns:
            [Shape (b, act)].

        Raises:
            PolicyError: the network is recurrent, it fails, or the numbers of values do not fit.
        """
        if self._recurrent:
            raise PolicyError(f"{self._path}: a recurrent network takes one observation after the other, not a batch")
        width = self._observation_size
        if observations.ndim != 2 or observations.shape[1] != width:
            raise PolicyError(f"{self._path}: observations of shape {observations.shape}, expected (batch, {width})")
        count = len(observations)
        if not self._batched:
            rows = [self.infer(row) for row in observations]
            return np.array(rows, dtype=np.float32).reshape(count, self._action_size)
        feed = {name: observations[:, part].reshape(count, *shape[1:]) for name, part, shape in self._parts}
        (actions,) = self._run(feed)
        if actions.size != count * self._action_size:
            raise PolicyError(
                f"{self._path}: output '{self._output}' gives {actions.size} numbers for {count} observations, "
                f"but {self._action_size} joints are driven"
            )
        return np.asarray(actions, dtype=np.float32).reshape(count, self._action_size)

    def _run(self, feed: Mapping[str, Float32Array]) -> Sequence[Float32Array]:
        try:
            return cast("Sequence[Float32Array]", self._session.run(self._fetch, feed))
        except Exception as error:  # onnxruntime's own exception types are not exported
            raise PolicyError(f"{self._path}: inference failed: {' '.join(str(error).split())}") from None
