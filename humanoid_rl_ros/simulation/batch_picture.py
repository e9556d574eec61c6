"""Pictures of one robot of a batch."""

from __future__ import annotations

import copy

import numpy as np

from humanoid_rl_ros.simulation.batch_simulation import BatchSimulation
from humanoid_rl_ros.simulation.mujoco_backend import MujocoBackend
from humanoid_rl_ros.simulation.mujoco_render import Image, OffscreenRenderer


class BatchPicture:
    """Draws robots of a batch, meshes included.

    Args:
        simulation: the batch.
        width, height: of the pictures [pixel].

    Raises:
        MissingDependencyError: no OpenGL without a display on this machine.
    """

    def __init__(self, simulation: BatchSimulation, width: int, height: int) -> None:
        self._simulation = simulation
        self._backend = MujocoBackend(
            simulation.robot, visual=True, welded=simulation.welded, extend=simulation.add_ground
        )
        self._nominal = copy.copy(self._backend.model)
        self._renderer = OffscreenRenderer(self._backend, width=width, height=height)

    def draw(self, row: int) -> Image:
        """One robot as it is now [RGB; Shape (height, width, 3)]."""
        terrain = self._simulation.terrain
        if terrain is not None:
            terrain.set_height(row, self._backend.model, self._nominal, float(terrain.height[row]))
            self._renderer.upload_ground()
        self._backend.show(np.asarray(self._simulation.qpos[row]))
        return self._renderer.draw()

    def close(self) -> None:
        """Give the graphics memory back."""
        self._renderer.close()
