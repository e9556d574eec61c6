"""Several processes that learn one policy together: what a learner asks of the others."""

from __future__ import annotations

import os
from typing import Protocol

import torch

# Named as default arguments of its functions, the group that exists when this is imported would be kept for ever: its
# threads would outlive close() and, now and then, abort the process as the interpreter ends. So it is imported here,
# before there is one, and not by whichever part of torch comes to need it.
import torch.distributed.nn
from torch import Tensor, distributed

from humanoid_rl_ros.core.errors import ConfigError

# Set by torchrun for every process that it starts.
VARIABLES = ("RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT")


class Distributed(Protocol):
    """The other processes. Every process makes the same calls in the same order with tensors of the same shapes."""

    @property
    def rank(self) -> int:
        """Which process this is, from 0."""

    @property
    def world_size(self) -> int:
        """How many processes there are."""

    def sum_(self, tensor: Tensor) -> Tensor:
        """Replace the tensor by its sum over all processes, in place."""

    def mean_(self, tensor: Tensor) -> Tensor:
        """Replace the tensor by its mean over all processes, in place."""


class TorchDistributed:
    """The processes of torch.distributed's default group, which must have been initialised."""

    @property
    def rank(self) -> int:
        """Which process this is, from 0."""
        return int(distributed.get_rank())

    @property
    def world_size(self) -> int:
        """How many processes there are."""
        return int(distributed.get_world_size())

    def sum_(self, tensor: Tensor) -> Tensor:
        """Replace the tensor by its sum over all processes, in place."""
        distributed.all_reduce(tensor)
        return tensor

    def mean_(self, tensor: Tensor) -> Tensor:
        """Replace the tensor by its mean over all processes, in place."""
        return self.sum_(tensor).div_(self.world_size)

    def close(self) -> None:
        """Leave the group."""
        distributed.destroy_process_group()


def init_from_environment() -> TorchDistributed | None:
    """Join the processes that torchrun started.

    Returns:
        None where this process was not started by torchrun.

    Raises:
        ConfigError: only some of torchrun's variables are set, or the others do not answer.
    """
    missing = [name for name in VARIABLES if name not in os.environ]
    if "RANK" in missing or "WORLD_SIZE" in missing:
        return None
    if missing:
        raise ConfigError(f"{' and '.join(missing)} must be set beside RANK and WORLD_SIZE; torchrun sets them all")
    try:
        distributed.init_process_group("gloo" if not torch.cuda.is_available() else "cpu:gloo,cuda:nccl")
    except (ValueError, RuntimeError) as error:
        reason = " ".join(str(error).split())
        raise ConfigError(f"the processes of this training cannot find each other: {reason}") from None
    return TorchDistributed()
