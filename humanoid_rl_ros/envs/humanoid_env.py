"""One humanoid at a task, as Gymnasium knows environments."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import gymnasium
import numpy as np
from gymnasium import spaces

from humanoid_rl_ros.core.arrays import Float32Array
from humanoid_rl_ros.core.errors import ConfigError
from humanoid_rl_ros.envs.humanoid_batch import HumanoidBatch
from humanoid_rl_ros.envs.tasks import make_batch
from humanoid_rl_ros.simulation.batch_picture import BatchPicture
from humanoid_rl_ros.simulation.batch_simulation import BatchSimulation


class HumanoidEnv(gymnasium.Env[Float32Array, Float32Array]):
    """``gymnasium.make("humanoid_rl_ros/Walk-v0", robot="reference")``.

    Observation: what the policy sees, from the robot's sensors alone [Shape (observation_size,); float32]. Action: as
    the policy's bundle reads it, 0 for the start pose [Shape (driven joints,); float32]. `info` has
    ``critic_observation``, ``command`` [m/s, m/s, rad/s], ``velocity_error`` [m/s], ``reward_terms`` and ``fallen``;
    where hands have targets, ``hand_targets`` of the step and ``hand_error``, their distances [m; Shape (2,)].

    Args:
        task: a shipped task or a task YAML.
        robot: as `humanoid_rl_ros.resources.find_robot` takes it.
        overrides: keys of the task's YAML to set instead, nested ones with dots.
        render_mode: ``rgb_array`` or None.
        width, height: of the pictures [pixel].
        simulate: makes the physics, by default in this process.

    `reset` takes ``options={"command": (x, y, yaw)}`` for a command that stays, and ``"hand_targets"`` likewise [m;
    base frame; Shape (2, 3)].

    Raises:
        ConfigError, ContractError, ModelError: there is no such task or robot, or they do not fit.
    """

    metadata = {"render_modes": ["rgb_array"], "render_fps": 50}  # noqa: RUF012  # Gymnasium's own name and type

    def __init__(
        self,
        task: str = "walk",
        robot: str = "reference",
        *,
        overrides: Mapping[str, Any] | None = None,
        render_mode: str | None = None,
        width: int = 480,
        height: int = 360,
        simulate: Callable[..., BatchSimulation] = BatchSimulation,
    ) -> None:
        if render_mode not in (None, "rgb_array"):
            raise ConfigError(f"render_mode must be rgb_array or None, found '{render_mode}'")
        self.batch = make_batch(task, robot, 1, overrides=overrides, threads=1, auto_reset=False, simulate=simulate)
        self.render_mode = render_mode
        self.metadata = {**self.metadata, "render_fps": round(1.0 / self.batch.control_period)}
        self.observation_space: gymnasium.Space[Any] = observation_space(self.batch)
        self.action_space: gymnasium.Space[Any] = action_space(self.batch)
        self._size = width, height
        self._picture: BatchPicture | None = None

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Float32Array, dict[str, Any]]:
        """Start an episode; the same seed gives the same one."""
        super().reset(seed=seed)
        hold(self.batch, options)
        seen = self.batch.reset(int(self.np_random.integers(2**63)))
        return seen.policy[0], {"critic_observation": seen.critic[0], "command": self.batch.command[0].copy()}

    def step(self, action: Float32Array) -> tuple[Float32Array, float, bool, bool, dict[str, Any]]:
        """One control period."""
        step = self.batch.step(np.asarray(action, dtype=np.float32)[None])
        info = {name: value[0] for name, value in step_info(self.batch).items()}
        info["critic_observation"] = step.final.critic[0]
        info["reward_terms"] = dict(zip(self.batch.reward_names, self.batch.last_terms[0].tolist(), strict=True))
        return step.final.policy[0], float(step.reward[0]), bool(step.terminated[0]), bool(step.truncated[0]), info

    def render(self) -> Any:
        """The robot now [RGB; Shape (height, width, 3)], or None without a render mode."""
        if self.render_mode is None:
            return None
        if self._picture is None:
            self._picture = BatchPicture(self.batch.simulation, *self._size)
        return self._picture.draw(0)

    def close(self) -> None:
        """Give threads and graphics memory back."""
        if self._picture is not None:
            self._picture.close()
            self._picture = None
        self.batch.close()


def observation_space(batch: HumanoidBatch) -> spaces.Box:
    """What the policy may see."""
    return spaces.Box(-np.inf, np.inf, (batch.observation_size,), np.float32)


def action_space(batch: HumanoidBatch) -> spaces.Box:
    """What the policy may say."""
    return spaces.Box(batch.action_low.astype(np.float32), batch.action_high.astype(np.float32), dtype=np.float32)


def hold(batch: HumanoidBatch, options: Mapping[str, Any] | None) -> None:
    """Ask robots for what the options of a reset name, until they name something else.

    Raises:
        ConfigError: it is malformed, or the task has no hand targets.
    """
    given = options or {}
    if given.get("command") is not None:
        batch.hold_command(np.asarray(given["command"], dtype=np.float64))
    if given.get("hand_targets") is not None:
        if batch.hands is None:
            raise ConfigError(f"task '{batch.task.name}' has no hand_targets to hold")
        batch.hands.hold(np.asarray(given["hand_targets"], dtype=np.float64))


def step_info(batch: HumanoidBatch) -> dict[str, Any]:
    """What a step tells of each robot besides observation and reward [Shape (n, ...)]."""
    step = batch.last_step
    assert step is not None
    error = step.linear_velocity[:, :2] - step.command[:, :2]
    hands: dict[str, Any] = {}
    if batch.hands is not None:
        distance = np.sqrt(((step.hand_position - step.hand_target) ** 2).sum(axis=2))
        hands = {"hand_targets": step.hand_target, "hand_error": distance}
    return {
        "command": step.command,
        "velocity_error": np.hypot(error[:, 0], error[:, 1]),
        "fallen": step.fallen,
        **hands,
    }
