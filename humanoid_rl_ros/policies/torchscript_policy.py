"""A policy stored as TorchScript. Importing this module imports torch."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

from humanoid_rl_ros.core.arrays import Float32Array
from humanoid_rl_ros.core.errors import PolicyError


class TorchScriptPolicy:
    """One TorchScript network; recurrent state it keeps in its own buffers is cleared by `reset`.

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
        self._initial = {name: buffer.clone() for name, buffer in self._module.named_buffers()}
        self.infer(np.zeros(observation_size, dtype=np.float32))
        self.reset()

    def reset(self) -> None:
        """Restore every buffer as it was stored, then call the module's ``reset_memory`` if it has one."""
        with torch.no_grad():
            for name, buffer in self._module.named_buffers():
                buffer.copy_(self._initial[name])
        if hasattr(self._module, "reset_memory"):
            self._module.reset_memory()

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
