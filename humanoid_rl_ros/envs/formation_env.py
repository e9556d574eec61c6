"""A team that walks in formation, as PettingZoo knows environments of several agents."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from gymnasium import spaces
from pettingzoo import ParallelEnv

from humanoid_rl_ros.core.arrays import Float32Array, FloatArray
from humanoid_rl_ros.core.command import AXES
from humanoid_rl_ros.core.errors import ConfigError
from humanoid_rl_ros.core.formation_view import OBSERVATION_SIZE, observe
from humanoid_rl_ros.envs.formation_batch import privileged
from humanoid_rl_ros.envs.formation_rewards import REWARDS, formation_rewards
from humanoid_rl_ros.envs.formation_spec import formation_task
from humanoid_rl_ros.envs.formation_step import FormationStep
from humanoid_rl_ros.envs.formation_worlds import FormationWorlds
from humanoid_rl_ros.envs.team_walk import TeamWalk
from humanoid_rl_ros.resources import find_robot
from humanoid_rl_ros.simulation.team_picture import TeamPicture
from humanoid_rl_ros.simulation.team_simulation import team_names

Agents = dict[str, Any]


class FormationEnv(ParallelEnv[str, Float32Array, Float32Array]):
    """Several humanoids in one world: ``FormationEnv(task="formation", robot="reference")``.

    Agents are ``robot_1`` and so on. Action of each: the velocity command of its walking policy, (forward, left, turn
    rate) within what that was trained on [m/s, m/s, rad/s; Shape (3,); float32]. Observation of each: what odometry
    tells it of itself and its team (`humanoid_rl_ros.core.formation_view`) [Shape (OBSERVATION_SIZE,); float32]. Info
    of each: ``slot_error`` [m], ``heading_error`` [rad], ``nearest`` robot [m], ``fallen``, ``team_velocity_error``
    [m/s] and ``reward_terms``. `state` is the truth about the whole team, of every agent in turn.

    A fall ends the episode for the whole team: who lies is in the way of the others, and no formation is left that the
    rest could be paid for. So all agents leave at once, and none before.

    Args:
        task: a shipped task of a team or a YAML with ``kind: formation``.
        robot: as `humanoid_rl_ros.resources.find_robot` takes it.
        overrides: keys of the task's YAML to set instead, nested ones with dots; the robots are simulated in physics
            unless ``bodies`` says otherwise.
        render_mode: ``rgb_array`` or None.
        width, height: of the pictures [pixel].

    `reset` takes ``options={"command": (x, y, yaw)}`` for a velocity of the formation that stays.

    Raises:
        ConfigError, ContractError, ModelError, PolicyError: there is no such task or robot, or they do not fit.
    """

    metadata: dict[str, Any] = {  # noqa: RUF012  # PettingZoo's own name and type
        "render_modes": ["rgb_array"],
        "name": "humanoid_rl_ros/Formation-v0",
        "is_parallelizable": True,
    }

    def __init__(
        self,
        task: str = "formation",
        robot: str = "reference",
        *,
        overrides: Mapping[str, Any] | None = None,
        render_mode: str | None = None,
        width: int = 640,
        height: int = 480,
    ) -> None:
        if render_mode not in (None, "rgb_array"):
            raise ConfigError(f"render_mode must be rgb_array or None, found '{render_mode}'")
        self.spec = formation_task(task, {"bodies": "physics", **(overrides or {})})
        self.worlds = FormationWorlds(find_robot(robot), self.spec, 1)
        self.render_mode = render_mode
        self.metadata = {**self.metadata, "render_fps": round(1.0 / self.spec.period)}
        self.possible_agents = list(team_names(self.spec.robots))
        self.agents: list[str] = []
        low, high = np.array([getattr(self.worlds.ranges, axis) for axis in AXES], dtype=np.float32).T
        self.observation_spaces = {
            name: spaces.Box(-np.inf, np.inf, (OBSERVATION_SIZE,), np.float32) for name in self.possible_agents
        }
        self.action_spaces = {name: spaces.Box(low, high, dtype=np.float32) for name in self.possible_agents}
        size = self.spec.robots * (3 + 8 * self.spec.robots)
        self.state_space = spaces.Box(-np.inf, np.inf, (size,), np.float32)
        self._rng = np.random.default_rng()
        self._size = width, height
        self._picture: TeamPicture | None = None

    def observation_space(self, agent: str) -> spaces.Space[Any]:
        """What an agent may see."""
        return self.observation_spaces[agent]

    def action_space(self, agent: str) -> spaces.Space[Any]:
        """What an agent may do."""
        return self.action_spaces[agent]

    def reset(self, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Agents, Agents]:
        """Start an episode; the same seed gives the same one."""
        if seed is not None:
            self._rng = np.random.default_rng(seed)
        if (hold := (options or {}).get("command")) is not None:
            self.worlds.hold_command(np.asarray(hold, dtype=np.float64))
        self.worlds.reset(np.random.default_rng(self._rng.integers(2**63)))
        self.agents = list(self.possible_agents)
        return self._seen(), {name: {} for name in self.agents}

    def step(self, actions: Mapping[str, Float32Array]) -> tuple[Agents, Agents, Agents, Agents, Agents]:
        """One decision of every agent.

        Raises:
            ConfigError: an agent has no action, or one that is not 3 finite numbers.
        """
        if not self.agents:
            return {}, {}, {}, {}, {}
        step = self.worlds.step(self._commands(actions))
        terms = formation_rewards(step, self.spec.rewards, self.spec.period)[0]
        fallen = bool(step.fallen.any())
        late = bool(self.worlds.steps[0] >= self.worlds.longest) and not fallen
        names = self.agents
        found = (
            self._seen(),
            {name: float(terms[i].sum()) for i, name in enumerate(names)},
            dict.fromkeys(names, fallen),
            dict.fromkeys(names, late),
            {name: _info(step, terms[i], i) for i, name in enumerate(names)},
        )
        if fallen or late:
            self.agents = []
        return found

    def state(self) -> Float32Array:
        """The truth about the team."""
        told = privileged(self.worlds.truth(), self.worlds.factor)
        return told.reshape(-1).astype(np.float32)

    def state_dict(self) -> dict[str, Any]:
        """Everything that a later `load_state_dict` needs to go on as if nothing had happened."""
        return {"agents": list(self.agents), "rng": self._rng.bit_generator.state, "worlds": self.worlds.state_dict()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from a `state_dict` of the same task and robot."""
        self.agents = list(state["agents"])
        self._rng.bit_generator.state = state["rng"]
        self.worlds.load_state_dict(state["worlds"])

    def render(self) -> Any:
        """The team now [RGB; Shape (height, width, 3)], or None without a render mode or without physics."""
        if self.render_mode is None or not isinstance(self.worlds.bodies, TeamWalk):
            return None
        if self._picture is None:
            self._picture = TeamPicture(self.worlds.bodies.simulation, *self._size)
        return self._picture.draw(0)

    def close(self) -> None:
        """Give threads and graphics memory back."""
        if self._picture is not None:
            self._picture.close()
            self._picture = None
        self.worlds.close()

    def _seen(self) -> Agents:
        seen = observe(self.worlds.view())[0]
        return {name: seen[i].copy() for i, name in enumerate(self.agents)}

    def _commands(self, actions: Mapping[str, Float32Array]) -> FloatArray:
        commands = np.zeros((1, self.spec.robots, 3))
        for i, name in enumerate(self.agents):
            if name not in actions:
                raise ConfigError(f"agent '{name}' has no action; every agent that is there needs one")
            action = np.asarray(actions[name], dtype=np.float64)
            if action.shape != (3,) or not np.isfinite(action).all():
                raise ConfigError(f"the action of agent '{name}' must be 3 finite numbers, found {action.tolist()}")
            commands[0, i] = action
        return commands


def _info(step: FormationStep, terms: FloatArray, agent: int) -> dict[str, Any]:
    missing = (step.team_velocity - step.view.command)[0, :2]
    return {
        "slot_error": float(np.linalg.norm(step.slot_error[0, agent])),
        "heading_error": float(step.heading_error[0, agent]),
        "nearest": float(step.nearest[0, agent]),
        "fallen": bool(step.fallen[0, agent]),
        "team_velocity_error": float(np.hypot(*missing)),
        "reward_terms": dict(zip(REWARDS, terms.tolist(), strict=True)),
    }
