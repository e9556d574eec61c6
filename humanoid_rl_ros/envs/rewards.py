"""The rewards: each a small named function of a `TaskStep`, weighted in the task's YAML and logged on its own.

A function gives a rate; what a step earns is weight · rate · control period, so that a sum does not depend on how
finely time is cut. Tracking kernels exp(−error²/σ) follow Rudin et al. (2022), "Learning to walk in minutes".
"""

from __future__ import annotations

import fnmatch
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from humanoid_rl_ros.core.arrays import BoolArray, FloatArray
from humanoid_rl_ros.core.config import Section
from humanoid_rl_ros.core.errors import ConfigError, did_you_mean
from humanoid_rl_ros.envs.step import TaskStep


@dataclass(frozen=True, eq=False)
class RewardParameters:
    """Numbers of one reward.

    Attributes:
        numbers: by name.
        joint_weight: one for each simulated joint [Shape (j,)].
    """

    numbers: Mapping[str, float]
    joint_weight: FloatArray

    def __getitem__(self, name: str) -> float:
        return self.numbers[name]


RewardFunction = Callable[[TaskStep, RewardParameters], FloatArray]


@dataclass(frozen=True)
class _Reward:
    function: RewardFunction
    defaults: Mapping[str, float]


_REGISTRY: dict[str, _Reward] = {}


def register_reward(name: str, **defaults: float) -> Callable[[RewardFunction], RewardFunction]:
    """Make a reward known under a name that a task YAML can use.

    Args:
        name: must be new.
        defaults: the numbers it reads, with their values where the YAML gives none.

    Returns:
        A decorator for ``function(step, parameters) -> rate [Shape (n,)]``.

    Raises:
        ConfigError: the name is taken.
    """

    def add(function: RewardFunction) -> RewardFunction:
        if name in _REGISTRY:
            raise ConfigError(f"reward '{name}' is registered already")
        _REGISTRY[name] = _Reward(function, defaults)
        return function

    return add


def reward_names() -> tuple[str, ...]:
    """Every registered name."""
    return tuple(_REGISTRY)


@dataclass(frozen=True)
class RewardSpec:
    """One reward as a task wants it.

    Attributes:
        name: a registered name.
        weight: per second; below zero for a penalty.
        numbers: by name; those left out have their defaults.
        joint_weights: patterns of joint names (``*hip_roll*``) with weights; the first that matches counts.
    """

    name: str
    weight: float
    numbers: Mapping[str, float]
    joint_weights: Mapping[str, float]


def rewards_from_section(section: Section) -> tuple[RewardSpec, ...]:
    """Read the ``rewards`` mapping of a task YAML: a weight, or ``{weight: …, number: …, joints: {pattern: …}}``."""
    specs = []
    for name in section.keys():
        if name not in _REGISTRY:
            raise ConfigError(f"{section.where}: unknown reward '{name}'; {did_you_mean(name, _REGISTRY)}")
        if not isinstance(section.raw(name), Mapping):
            specs.append(RewardSpec(name, section.number(name), {}, {}))
            continue
        nested = section.section(name)
        numbers = {key: nested.number(key, default) for key, default in _REGISTRY[name].defaults.items()}
        patterns = nested.section("joints", {})
        weights = {pattern: patterns.number(pattern, least=0.0) for pattern in patterns.keys()}
        specs.append(RewardSpec(name, nested.number("weight"), numbers, weights))
        nested.finish()
    return tuple(specs)


class RewardSum:
    """The rewards of a task bound to its joints.

    Args:
        specs: of the task.
        joints: names of the simulated joints.

    Raises:
        ConfigError: a pattern matches no joint.
    """

    def __init__(self, specs: Sequence[RewardSpec], joints: Sequence[str]) -> None:
        self.names = tuple(spec.name for spec in specs)
        self.weights = np.array([spec.weight for spec in specs])
        self._penalty = self.weights < 0.0
        self._terms = [
            (
                _REGISTRY[spec.name].function,
                RewardParameters(
                    {**_REGISTRY[spec.name].defaults, **spec.numbers},
                    _joint_weights(spec.joint_weights, joints, f"reward '{spec.name}'"),
                ),
            )
            for spec in specs
        ]

    def terms(self, step: TaskStep, penalty_scale: float) -> FloatArray:
        """What each term is worth in this step [Shape (n, terms)].

        Args:
            step: of all robots.
            penalty_scale: factor on the terms with a weight below zero; a curriculum lets it grow.
        """
        weights = np.where(self._penalty, penalty_scale, 1.0) * self.weights * step.period
        values = np.empty((len(self._terms), len(step.height)))
        for row, (function, parameters) in enumerate(self._terms):
            values[row] = function(step, parameters)
        return np.ascontiguousarray((values * weights[:, None]).T)


def _joint_weights(patterns: Mapping[str, float], joints: Sequence[str], what: str) -> FloatArray:
    if not patterns:
        return np.ones(len(joints))
    weights = np.zeros(len(joints))
    matched: set[str] = set()
    for i, joint in enumerate(joints):
        for pattern, weight in patterns.items():
            if fnmatch.fnmatchcase(joint, pattern):
                weights[i] = weight
                matched.add(pattern)
                break
    if not matched:
        raise ConfigError(f"{what}: none of the patterns {', '.join(patterns)} matches a joint: {', '.join(joints)}")
    return weights


def _squares(values: FloatArray) -> FloatArray:
    """Sum of squares over all axes but the first [Shape (n,)]."""
    flat = values.reshape(len(values), -1)
    return np.asarray(np.einsum("ij,ij->i", flat, flat))


@register_reward("alive")
def alive(step: TaskStep, p: RewardParameters) -> FloatArray:
    """1 until the robot falls."""
    return np.where(step.fallen, 0.0, 1.0)


@register_reward("fall")
def fall(step: TaskStep, p: RewardParameters) -> FloatArray:
    """1/period in the step in which the robot falls, so that the weight is what a fall costs."""
    return np.where(step.fallen, 1.0 / step.period, 0.0)


@register_reward("track_linear_velocity", sigma=0.1)
def track_linear_velocity(step: TaskStep, p: RewardParameters) -> FloatArray:
    """exp(−|v − command|²/σ) over forward and sideways mean velocity [σ in (m/s)²]."""
    return np.exp(-_squares(step.mean_velocity[:, :2] - step.command[:, :2]) / p["sigma"])


@register_reward("track_angular_velocity", sigma=0.15)
def track_angular_velocity(step: TaskStep, p: RewardParameters) -> FloatArray:
    """exp(−(ω_z − command)²/σ) of the mean turn rate, which swings with every step [σ in (rad/s)²]."""
    return np.exp(-((step.mean_velocity[:, 2] - step.command[:, 2]) ** 2) / p["sigma"])


@register_reward("forward_velocity")
def forward_velocity(step: TaskStep, p: RewardParameters) -> FloatArray:
    """Forward velocity [m/s]."""
    return step.linear_velocity[:, 0]


@register_reward("feet_phase", sigma=0.002, swing_height=0.08, swing_share=0.45, still_speed=0.15)
def feet_phase(step: TaskStep, p: RewardParameters) -> FloatArray:
    """exp(−Σ(height − wanted)²/σ) less what feet that stay on the ground would earn [σ in m²].

    Each foot swings in its part of the gait clock and stands in the rest; the wanted height is a squared sine over the
    swing. Without the second part standing still would earn more than half of what walking does, without the risk.
    While standing is asked for the wanted height is zero; a robot that was pushed, and moves faster than `still_speed`
    [m/s], may step as it likes.
    """
    share = p["swing_share"]
    phase = np.mod(step.phase, 2.0 * math.pi) / (2.0 * math.pi)
    wanted = np.where(phase < share, p["swing_height"] * np.sin(math.pi * phase / share) ** 2, 0.0)
    wanted = np.where(step.standing[:, None], 0.0, wanted)
    earned = np.exp(-_squares(step.foot_height - wanted) / p["sigma"]) - np.exp(-_squares(wanted) / p["sigma"])
    pushed = step.standing & (_squares(step.linear_velocity[:, :2]) > p["still_speed"] ** 2)
    return np.where(pushed, 0.0, earned)


@register_reward("upright")
def upright(step: TaskStep, p: RewardParameters) -> FloatArray:
    """Squared horizontal part of gravity in the base: sin² of the tilt."""
    return _squares(step.gravity[:, :2])


@register_reward("upright_share")
def upright_share(step: TaskStep, p: RewardParameters) -> FloatArray:
    """From 0 (head down) to 1 (upright): (1 + cos tilt)/2."""
    return 0.5 - 0.5 * step.gravity[:, 2]


@register_reward("height_share", reach=1.0)
def height_share(step: TaskStep, p: RewardParameters) -> FloatArray:
    """Height of the base over its height in the start pose, at most `reach`."""
    return np.clip(step.height / step.nominal_height, 0.0, p["reach"])


@register_reward("rising")
def rising(step: TaskStep, p: RewardParameters) -> FloatArray:
    """Share of height times share of uprightness: hips above the head are worth no more than lying."""
    return upright_share(step, p) * np.clip(step.height / step.nominal_height, 0.0, 1.0)


def is_up(step: TaskStep, tilt: float = 0.5, height: float = 0.85) -> BoolArray:
    """Whether the tilt is below a bound [rad] and the base above a share of its start height [Shape (n,)]."""
    return np.asarray((step.gravity[:, 2] < -math.cos(tilt)) & (step.height > height * step.nominal_height))


@register_reward("standing_up", tilt=0.5, height=0.85)
def standing_up(step: TaskStep, p: RewardParameters) -> FloatArray:
    """1 while the tilt is below `tilt` [rad] and the base above `height` of its start height."""
    return is_up(step, p["tilt"], p["height"]).astype(np.float64)


@register_reward("standing_in_pose", tilt=0.5, height=0.85, sigma=1.0)
def standing_in_pose(step: TaskStep, p: RewardParameters) -> FloatArray:
    """exp(−Σ weight · (q − q₀)²/σ) while it stands up; lying in the start pose is worth nothing [σ in rad²]."""
    return standing_up(step, p) * np.exp(-pose(step, p) / p["sigma"])


@register_reward("standing_at_rest", tilt=0.5, height=0.85, sigma=0.1)
def standing_at_rest(step: TaskStep, p: RewardParameters) -> FloatArray:
    """exp(−(|v|² + |ω|²)/σ) of the base while it stands up [σ in (m/s)² and (rad/s)²]."""
    moving = _squares(step.linear_velocity) + _squares(step.angular_velocity)
    return standing_up(step, p) * np.exp(-moving / p["sigma"])


@register_reward("still", sigma=0.05)
def still(step: TaskStep, p: RewardParameters) -> FloatArray:
    """exp(−|v|²/σ) of the base's horizontal velocity [σ in (m/s)²]."""
    return np.exp(-_squares(step.linear_velocity[:, :2]) / p["sigma"])


@register_reward("hands_on_target", scale=0.1)
def hands_on_target(step: TaskStep, p: RewardParameters) -> FloatArray:
    """exp(−distance/scale) of the hands from their targets, averaged over the hands [scale in m]."""
    return np.asarray(np.exp(-_hand_distance(step) / p["scale"]).mean(axis=1))


@register_reward("hand_distance")
def hand_distance(step: TaskStep, p: RewardParameters) -> FloatArray:
    """Mean distance of the hands from their targets [m]."""
    return np.asarray(_hand_distance(step).mean(axis=1))


def _hand_distance(step: TaskStep) -> FloatArray:
    """[m; Shape (n, 2)]."""
    if not step.hand_target.size:
        raise ConfigError("this task has rewards for hands, and no 'hand_targets'")
    return np.asarray(np.sqrt(((step.hand_position - step.hand_target) ** 2).sum(axis=2)))


@register_reward("roll_pitch_rate")
def roll_pitch_rate(step: TaskStep, p: RewardParameters) -> FloatArray:
    """Squared roll and pitch rate [(rad/s)²]."""
    return _squares(step.angular_velocity[:, :2])


@register_reward("vertical_velocity")
def vertical_velocity(step: TaskStep, p: RewardParameters) -> FloatArray:
    """Squared vertical velocity of the base [(m/s)²]."""
    return step.linear_velocity[:, 2] ** 2


@register_reward("base_height")
def base_height(step: TaskStep, p: RewardParameters) -> FloatArray:
    """Squared distance of the base from its height in the start pose [m²]."""
    return np.asarray((step.height - step.nominal_height) ** 2)


@register_reward("effort")
def effort(step: TaskStep, p: RewardParameters) -> FloatArray:
    """Sum of squared efforts, each as a share of its limit."""
    return _squares(step.effort / step.effort_limit)


@register_reward("power")
def power(step: TaskStep, p: RewardParameters) -> FloatArray:
    """Mechanical power, taken as lost both ways: Σ|τ·q̇| [W]."""
    return np.asarray(np.abs(step.effort * step.joint_velocity).sum(axis=1))


@register_reward("action_rate")
def action_rate(step: TaskStep, p: RewardParameters) -> FloatArray:
    """Squared change of the action from step to step."""
    return _squares(step.action - step.last_action)


@register_reward("joint_velocity")
def joint_velocity(step: TaskStep, p: RewardParameters) -> FloatArray:
    """Weighted squared joint velocities [(rad/s)²]."""
    return np.asarray((step.joint_velocity**2) @ p.joint_weight)


@register_reward("joint_speed", share=0.7)
def joint_speed(step: TaskStep, p: RewardParameters) -> FloatArray:
    """Sum of squares of how much faster joints are than a share of their velocity limit, as shares of it."""
    return _squares(np.maximum(np.abs(step.joint_velocity) / step.velocity_limit - p["share"], 0.0))


@register_reward("pose")
def pose(step: TaskStep, p: RewardParameters) -> FloatArray:
    """Weighted squared distance of the joints from the start pose [rad²]."""
    return np.asarray(((step.joint_position - step.default_position) ** 2) @ p.joint_weight)


@register_reward("joint_limits", margin=0.05)
def joint_limits(step: TaskStep, p: RewardParameters) -> FloatArray:
    """How far joints are beyond a margin before their limits, summed [rad]."""
    low = np.maximum(step.lower + p["margin"] - step.joint_position, 0.0)
    high = np.maximum(step.joint_position - step.upper + p["margin"], 0.0)
    return np.asarray(np.where(np.isfinite(low + high), low + high, 0.0).sum(axis=1))


@register_reward("feet_level")
def feet_level(step: TaskStep, p: RewardParameters) -> FloatArray:
    """Sum over the feet of sin² of the sole's tilt."""
    return np.asarray((1.0 - np.minimum(step.foot_up, 1.0) ** 2).sum(axis=1))


@register_reward("feet_slip", force=5.0)
def feet_slip(step: TaskStep, p: RewardParameters) -> FloatArray:
    """Squared horizontal velocity of the feet that carry more than `force` [(m/s)²]."""
    speed = (step.foot_velocity[:, :, :2] ** 2).sum(axis=2)
    return np.asarray(np.where(step.foot_force > p["force"], speed, 0.0).sum(axis=1))


@register_reward("feet_close", distance=0.14)
def feet_close(step: TaskStep, p: RewardParameters) -> FloatArray:
    """How much closer than `distance` the feet are, across the heading, as a share of it."""
    return np.clip(1.0 - step.foot_distance / p["distance"], 0.0, 2.0)


@register_reward("feet_lifted_while_standing", force=5.0)
def feet_lifted_while_standing(step: TaskStep, p: RewardParameters) -> FloatArray:
    """Feet that carry nothing while the command asks to stand."""
    return np.where(step.standing, (step.foot_force < p["force"]).sum(axis=1), 0).astype(np.float64)
