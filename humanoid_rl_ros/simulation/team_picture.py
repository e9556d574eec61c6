"""Pictures of one world of several robots."""

from __future__ import annotations

import numpy as np

from humanoid_rl_ros.simulation.layout import layout
from humanoid_rl_ros.simulation.model_file import mujoco
from humanoid_rl_ros.simulation.mujoco_render import Image, OffscreenRenderer
from humanoid_rl_ros.simulation.team_model import Member, prepare_team
from humanoid_rl_ros.simulation.team_simulation import TeamSimulation, carrying


class _Shown:
    """The robots of a simulation, meshes included, in the state that they are put into."""

    def __init__(self, simulation: TeamSimulation) -> None:
        members = [Member(name, simulation.robot) for name in simulation.names]
        extend, timestep = carrying(simulation.beam, members), simulation.timestep
        self.model = prepare_team(members, timestep=timestep, visual=True, welded=simulation.welded, extend=extend)
        self.data = mujoco.MjData(self.model)
        self.root_bodies = tuple(layout(self.model, m.robot, m.prefix).root_body for m in members)

    def show(self, qpos: np.ndarray) -> None:
        """Put everything where it is [Shape (nq,)]."""
        self.data.qpos[:] = qpos
        mujoco.mj_forward(self.model, self.data)


class TeamPicture:
    """Draws worlds of a `TeamSimulation`.

    Args:
        simulation: the worlds.
        width, height: of the pictures [pixel].

    Raises:
        MissingDependencyError: no OpenGL without a display on this machine.
    """

    def __init__(self, simulation: TeamSimulation, width: int, height: int) -> None:
        self._simulation = simulation
        self._shown = _Shown(simulation)
        self._shown.show(simulation.qpos[0])
        self._renderer = OffscreenRenderer(self._shown, width=width, height=height)

    def draw(self, world: int) -> Image:
        """One world as it is now [RGB; Shape (height, width, 3)]."""
        self._shown.show(self._simulation.qpos[world])
        return self._renderer.draw()

    def close(self) -> None:
        """Give the graphics memory back."""
        self._renderer.close()
