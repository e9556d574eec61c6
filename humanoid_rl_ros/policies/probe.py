"""A network tried on observations it will see, and on some that it should survive."""

from __future__ import annotations

import time
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from humanoid_rl_ros.core.action import ActionProcessor
from humanoid_rl_ros.core.arrays import Float32Array, FloatArray
from humanoid_rl_ros.core.command import AXES
from humanoid_rl_ros.core.errors import PolicyError
from humanoid_rl_ros.core.hand_targets import SIZE, HandTargetSpec
from humanoid_rl_ros.core.observation_terms import ObservationInput
from humanoid_rl_ros.core.state import RobotState
from humanoid_rl_ros.policies.bundle import PolicyBundle
from humanoid_rl_ros.policies.policy import Policy

# What a walking robot measures, and what it measures while everything goes wrong: tilt [rad], rates [rad/s], joints
# away from their default [rad], joint speeds [rad/s], velocity of the base [m/s], last action.
USUAL = {"tilt": 0.2, "rate": 1.0, "position": 0.3, "speed": 3.0, "velocity": 0.5, "action": 1.0}
EXTREME = {"tilt": np.pi, "rate": 30.0, "position": np.pi, "speed": 100.0, "velocity": 10.0, "action": 100.0}
LARGEST_COMMAND = 1.0
WARM_UP = 20


@dataclass(frozen=True)
class Probe:
    """What came of it.

    Attributes:
        calls: inferences.
        not_finite: on which observations it gave NaN or Inf; empty for none.
        at_clip: share of usual actions at or beyond the action's clip.
        largest_action: largest output on usual observations.
        beyond_default: largest distance of a usual target from the default pose [rad], or effort [N·m].
        repeatable: whether it gives the same again after a reset.
        microseconds_p50, microseconds_p99, microseconds_max: time of one inference [µs].
    """

    calls: int
    not_finite: str
    at_clip: float
    largest_action: float
    beyond_default: float
    repeatable: bool
    microseconds_p50: float
    microseconds_p99: float
    microseconds_max: float

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self)


def probe(bundle: PolicyBundle, network: Policy, *, calls: int = 500, seed: int = 0) -> Probe:
    """Run the network of a bundle outside any robot.

    Args:
        bundle: makes observations and reads actions.
        network: of the bundle.
        calls: usual observations; a fifth as many extreme ones follow.
        seed: of the observations.

    Returns:
        What came of it; the network is reset.

    Raises:
        PolicyError: it fails.
    """
    rng = np.random.default_rng(seed)
    usual, extreme = _observations(bundle, rng, USUAL, calls), _observations(bundle, rng, EXTREME, calls // 5)
    wild = (rng.standard_normal((calls // 5, usual.shape[1])) * 10.0 ** rng.uniform(0, 4, (calls // 5, 1))).astype("f4")
    first = _run(network, usual)
    again = _run(network, usual[:20])
    actions, seconds = first
    spoiled = ""
    for what, found in (("usual", actions), ("extreme", _run(network, extreme)[0]), ("wild", _run(network, wild)[0])):
        if not np.isfinite(found).all() and not spoiled:
            spoiled = f"{what} observations: {np.count_nonzero(~np.isfinite(found).all(axis=1))} of {len(found)}"
    network.reset()
    microseconds = np.sort(seconds[WARM_UP:]) * 1e6
    finite = actions[np.isfinite(actions).all(axis=1)].astype(np.float64)
    return Probe(
        calls=len(usual) + 20 + len(extreme) + len(wild),
        not_finite=spoiled,
        at_clip=_at_clip(bundle, finite),
        largest_action=float(np.abs(finite).max(initial=0.0)),
        beyond_default=_beyond_default(bundle, finite),
        repeatable=bool(np.array_equal(again[0], actions[:20], equal_nan=True)),
        microseconds_p50=float(np.percentile(microseconds, 50)),
        microseconds_p99=float(np.percentile(microseconds, 99)),
        microseconds_max=float(microseconds[-1]),
    )


def _run(network: Policy, observations: Float32Array) -> tuple[Float32Array, FloatArray]:
    network.reset()
    actions, seconds = [], []
    for observation in observations:
        began = time.perf_counter()
        actions.append(network.infer(observation))
        seconds.append(time.perf_counter() - began)
    return np.array(actions), np.array(seconds)


def _at_clip(bundle: PolicyBundle, actions: FloatArray) -> float:
    low, high = np.array(bundle.action.clip_lower), np.array(bundle.action.clip_upper)
    return float(np.mean((actions <= low) | (actions >= high))) if len(actions) else 0.0


def _beyond_default(bundle: PolicyBundle, actions: FloatArray) -> float:
    if not len(actions):
        return 0.0
    try:
        target = ActionProcessor(bundle.action, (len(actions),)).apply(actions)
    except PolicyError:
        return 0.0
    default = np.array([joint.default_position for joint in bundle.joints.values()])
    return float(np.abs(target - (0.0 if bundle.action.kind == "effort" else default)).max())


def _observations(bundle: PolicyBundle, rng: np.random.Generator, size: dict[str, float], count: int) -> Float32Array:
    """What the bundle's own observation makes of random states [Shape (count, obs)]."""
    joints = bundle.observation.joints
    builder = bundle.observation_builder(joints)
    default = np.array(bundle.observation.default_position)
    n_phases = len(bundle.gait.phases) if bundle.gait else 0
    rows = []
    for k in range(count):
        axis = rng.standard_normal(3)
        angle = 0.5 * rng.uniform(-size["tilt"], size["tilt"])
        phase = rng.uniform(-np.pi, np.pi, n_phases)
        state = RobotState(
            stamp_ns=k,
            joint_position=default + rng.uniform(-size["position"], size["position"], len(joints)),
            joint_velocity=rng.uniform(-size["speed"], size["speed"], len(joints)),
            orientation=np.array([np.cos(angle), *(np.sin(angle) * axis / np.linalg.norm(axis))]),
            angular_velocity=rng.uniform(-size["rate"], size["rate"], 3),
            linear_acceleration=np.array([0.0, 0.0, 9.81]) + rng.uniform(-size["rate"], size["rate"], 3),
            base_linear_velocity=rng.uniform(-size["velocity"], size["velocity"], 3),
        )
        last = rng.uniform(-size["action"], size["action"], len(bundle.joints))
        command = _command(bundle, rng)
        asked = () if bundle.hand_targets is None else (_hand_targets(bundle.hand_targets, rng),)
        rows.append(builder.build(ObservationInput(state, command, last, np.sin(phase), np.cos(phase), *asked)))
    return np.array(rows)


def _hand_targets(spec: HandTargetSpec, rng: np.random.Generator) -> FloatArray:
    low, high = spec.bounds()
    return np.asarray(rng.uniform(low, high)).reshape(SIZE)


def _command(bundle: PolicyBundle, rng: np.random.Generator) -> FloatArray:
    ranges = np.clip([getattr(bundle.command, axis) for axis in AXES], -LARGEST_COMMAND, LARGEST_COMMAND)
    return np.asarray(rng.uniform(ranges[:, 0], ranges[:, 1]))
