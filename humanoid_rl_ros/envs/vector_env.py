"""Many humanoids at a task, as Gymnasium knows vector environments."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import gymnasium
import numpy as np
from gymnasium.vector import AutoresetMode, VectorEnv
from gymnasium.vector.utils import batch_space

from humanoid_rl_ros.core.arrays import BoolArray, Float32Array, FloatArray
from humanoid_rl_ros.core.errors import ConfigError
from humanoid_rl_ros.envs.humanoid_env import action_space, hold, observation_space, step_info
from humanoid_rl_ros.envs.tasks import make_batch
from humanoid_rl_ros.simulation.batch_picture import BatchPicture
from humanoid_rl_ros.simulation.batch_simulation import BatchSimulation


class HumanoidVectorEnv(VectorEnv[Float32Array, Float32Array, Any]):
    """``gymnasium.make_vec("humanoid_rl_ros/Walk-v0", num_envs=256, vectorization_mode="vector_entry_point")``.

    A robot whose episode ends starts anew in the same step; ``final_obs`` and ``final_info`` are those of the episode
    that ended. Spaces and `info` are those of `HumanoidEnv`.

    Args:
        num_envs: robots.
        task, robot, overrides, render_mode, width, height, simulate: see `HumanoidEnv`; a picture is of the first
            robot.
        threads: of the physics; by default as many as this process has cores.

    Raises:
        ConfigError, ContractError, ModelError: there is no such task or robot, or they do not fit.
    """

    metadata = {  # noqa: RUF012  # Gymnasium's own name and type
        "render_modes": ["rgb_array"],
        "render_fps": 50,
        "autoreset_mode": AutoresetMode.SAME_STEP,
    }

    def __init__(
        self,
        num_envs: int = 1,
        task: str = "walk",
        robot: str = "reference",
        *,
        overrides: Mapping[str, Any] | None = None,
        threads: int | None = None,
        render_mode: str | None = None,
        width: int = 480,
        height: int = 360,
        simulate: Callable[..., BatchSimulation] = BatchSimulation,
    ) -> None:
        if render_mode not in (None, "rgb_array"):
            raise ConfigError(f"render_mode must be rgb_array or None, found '{render_mode}'")
        self.batch = make_batch(task, robot, num_envs, overrides=overrides, threads=threads, simulate=simulate)
        self.num_envs = num_envs
        self.render_mode = render_mode
        self.metadata = {**self.metadata, "render_fps": round(1.0 / self.batch.control_period)}
        self.single_observation_space = observation_space(self.batch)
        self.single_action_space = action_space(self.batch)
        self.observation_space: gymnasium.Space[Any] = batch_space(self.single_observation_space, num_envs)
        self.action_space: gymnasium.Space[Any] = batch_space(self.single_action_space, num_envs)
        self._size = width, height
        self._picture: BatchPicture | None = None

    def reset(
        self, *, seed: int | list[int | None] | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Float32Array, dict[str, Any]]:
        """Start every robot anew; the same seed gives the same run."""
        if isinstance(seed, list):
            # One source of chance serves all robots; every seed of the list counts.
            given = [s for s in seed if s is not None]
            seed = int(np.random.SeedSequence(given).generate_state(1)[0]) if given else None
        super().reset(seed=seed)
        hold(self.batch, options)
        seen = self.batch.reset(int(self.np_random.integers(2**63)))
        return seen.policy, self._info({"critic_observation": seen.critic, "command": self.batch.command.copy()})

    def step(self, actions: Float32Array) -> tuple[Float32Array, FloatArray, BoolArray, BoolArray, dict[str, Any]]:
        """One control period of all robots."""
        step = self.batch.step(np.asarray(actions, dtype=np.float32))
        info = step_info(self.batch)
        done = step.terminated | step.truncated
        found = self._info({**info, "critic_observation": step.observation.critic})
        if done.any():
            found["final_obs"] = step.final.policy
            found["final_info"] = self._info({**info, "critic_observation": step.final.critic}, done)
            found["_final_obs"] = found["_final_info"] = done
        return step.observation.policy, step.reward, step.terminated, step.truncated, found

    def render(self) -> Any:
        """The first robot now, in a tuple as Gymnasium wants it, or None without a render mode."""
        if self.render_mode is None:
            return None
        if self._picture is None:
            self._picture = BatchPicture(self.batch.simulation, *self._size)
        return (self._picture.draw(0),)

    def close_extras(self, **kwargs: Any) -> None:
        """Give threads and graphics memory back."""
        if self._picture is not None:
            self._picture.close()
            self._picture = None
        self.batch.close()

    def _info(self, values: Mapping[str, Any], mask: BoolArray | None = None) -> dict[str, Any]:
        """With each key the mask that says which robots it is about, as Gymnasium has it."""
        mask = np.ones(self.num_envs, dtype=bool) if mask is None else mask
        return dict(values) | {f"_{name}": mask for name in values}
