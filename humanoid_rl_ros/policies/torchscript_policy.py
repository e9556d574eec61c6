"""A policy stored as TorchScript. Importing this module imports torch."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from humanoid_rl_ros.core.arrays import Float32Array
from humanoid_rl_ros.core.errors import PolicyError


class TorchScriptPolicy:
    """One TorchScript network; recurrent state it keeps in its own buffers is cleared by `reset`.

    State is what a call changes. A file may hold state of whatever ran before it was saved, so it is set to zero, and
    not to what is stored.

    Args:
        path: the archive.
        observation_size, action_size: what the bundle says; checked by one call.

    Raises:
        PolicyError: the file is not TorchScript, or its sizes do not fit.
    """

    def __init__(self, path: Path, *, observation_size: int, action_size: int) -> None:
        self._path = path
        self._action_size = action_size
        torch.set_num_threads(1)
        try:
            # torch.jit.load runs no pickled Python, unlike torch.load.
            self._module = torch.jit.load(str(path), map_location="cpu").eval()  # type: ignore[no-untyped-call]  # torch
        except (RuntimeError, ValueError, OSError) as error:
            raise PolicyError(f"{path}: not a TorchScript archive: {str(error).splitlines()[0]}") from None
        for name, values in (*self._module.named_parameters(), *self._module.named_buffers()):
            if not torch.isfinite(values).all():
                raise PolicyError(f"{path}: '{name}' holds NaN or Inf: broken weights")
        before = {name: buffer.clone() for name, buffer in self._module.named_buffers()}
        self._state: tuple[str, ...] = ()
        for trial in (np.zeros(observation_size, dtype=np.float32), np.ones(observation_size, dtype=np.float32)):
            self.infer(trial)
        # A buffer that is replaced may come back in another shape.
        self._state = tuple(
            name
            for name, buffer in self._module.named_buffers()
            if buffer.shape != before[name].shape or not torch.equal(buffer, before[name])
        )
        self.reset()

    def reset(self) -> None:
        """Set the state to zero, then call the module's ``reset_memory`` if it has one."""
        with torch.no_grad():
            for name, buffer in self._module.named_buffers():
                if name in self._state:
                    buffer.zero_()
        if hasattr(self._module, "reset_memory"):
            self._module.reset_memory()

    def captured_state(self) -> dict[str, NDArray[Any]]:
        """The state by buffer name."""
        return {
            name: buffer.detach().numpy().copy() for name, buffer in self._module.named_buffers() if name in self._state
        }

    def restore_state(self, state: dict[str, NDArray[Any]]) -> None:
        """Go on from a `captured_state` of the same file."""
        with torch.no_grad():
            for name, buffer in self._module.named_buffers():
                if name in state:
                    buffer.resize_(state[name].shape)
                    buffer.copy_(torch.from_numpy(state[name].copy()))

    def infer_batch(self, observations: Float32Array) -> Float32Array:
        """The actions for observations that have nothing to do with each other, one by one [(b, obs) -> (b, act)].

        Raises:
            PolicyError: the network is recurrent, or as of `infer`.
        """
        if self._state or hasattr(self._module, "reset_memory"):
            raise PolicyError(f"{self._path}: a recurrent network takes one observation after the other, not a batch")
        return np.array([self.infer(row) for row in observations], dtype=np.float32).reshape(-1, self._action_size)

    def infer(self, observation: Float32Array) -> Float32Array:
        """The action for an observation [Shape (obs,) -> (act,)].

        Raises:
            PolicyError: the network fails or gives the wrong number of values.
        """
        try:
            with torch.no_grad():  # inference_mode would mark state kept in buffers as not to be written again
                action = self._module(torch.from_numpy(observation).unsqueeze(0))
        except RuntimeError as error:
            raise PolicyError(f"{self._path}: inference failed: {str(error).strip().splitlines()[-1]}") from None
        if not isinstance(action, torch.Tensor) or action.numel() != self._action_size:
            found = f"{action.numel()} numbers" if isinstance(action, torch.Tensor) else f"a {type(action).__name__}"
            raise PolicyError(f"{self._path}: gives {found}, but {self._action_size} joints are driven")
        return np.asarray(action.reshape(-1).numpy(), dtype=np.float32)
