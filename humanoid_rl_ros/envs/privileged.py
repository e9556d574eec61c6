"""What the critic is told besides its observation, and how all that learning sees looks in the mirror."""

from __future__ import annotations

import numpy as np

from humanoid_rl_ros.core import hand_targets
from humanoid_rl_ros.core.arrays import EVERYONE, Float32Array, FloatArray, IndexArray
from humanoid_rl_ros.core.hand_targets import HandTargetSpec
from humanoid_rl_ros.core.mirror import JointMirror, Mirroring, mirror_action, partners
from humanoid_rl_ros.core.observation_mirror import mirror_observation
from humanoid_rl_ros.core.observation_spec import ObservationSpec
from humanoid_rl_ros.envs.batch_env import BatchMirror
from humanoid_rl_ros.envs.hand_targets import HandTargets
from humanoid_rl_ros.envs.randomisation import EpisodeDraws
from humanoid_rl_ros.envs.truth import Truth
from humanoid_rl_ros.policies.bundle import PolicyBundle
from humanoid_rl_ros.simulation.batch_simulation import BatchSimulation
from humanoid_rl_ros.simulation.symmetry import robot_mirror

_CONTACT_FORCE = 5.0
# Base height, friction, mass, centre of mass, delay, mean velocity, of which the sideways ones and the turn rate change
# their sign in the mirror; then, for each foot, contact and height, which change places; then, of hands with targets,
# how far each is from its own, along the base's axes.
_N_BODY, _SIDEWAYS = 10, [4, 8, 9]


def privileged_size(n_feet: int, draws: EpisodeDraws, *, hands: bool = False) -> int:
    """How many numbers `privileged` gives."""
    return _N_BODY + 2 * n_feet + (hand_targets.SIZE if hands else 0) + int(_loads(draws).shape[1])


def privileged(
    simulation: BatchSimulation,
    draws: EpisodeDraws,
    truth: Truth,
    rows: IndexArray | slice = EVERYONE,
    hands: HandTargets | None = None,
) -> Float32Array:
    """What no sensor tells, in units in which it is about 1, of all robots or of some rows [Shape (k, size)]."""
    sensors = simulation.sensors
    friction = np.where(np.isnan(draws.friction), 1.0, draws.friction)
    body = [simulation.base_height - truth.nominal_height, friction, draws.mass - 1.0, *(10.0 * draws.centre_of_mass.T)]
    body += [draws.delay / simulation.substeps, *truth.mean_velocity.T]
    feet = [sensors.foot_force[rows] > _CONTACT_FORCE, 10.0 * simulation.foot_height[rows]]
    if hands is not None:
        error = 10.0 * (sensors.hand_position[rows] - hands.current[rows])
        feet.append(error.reshape(len(error), hand_targets.SIZE))
    return np.concatenate([np.stack(body, axis=1)[rows], *feet, _loads(draws)[rows]], axis=1).astype(np.float32)


def _loads(draws: EpisodeDraws) -> FloatArray:
    """What the ground is like, what a robot carries, and what its joints lack, where the task has it [Shape (n, l)]."""
    found = [np.zeros((len(draws.mass), 0))]
    if draws.ground is not None:
        found.append(10.0 * draws.terrain[:, None])
    if draws.spec.payload is not None:
        found += [5.0 * draws.payload[:, None], 10.0 * draws.payload_place]
    if draws.spec.weak_joint is not None:
        found.append(1.0 - draws.strength)
    return np.concatenate(found, axis=1)


def _mirror_loads(draws: EpisodeDraws, joints: JointMirror) -> tuple[IndexArray, Float32Array]:
    """Where each of `_loads` comes from in the mirror, and with which sign."""
    sign, index = [np.zeros(0)], [np.zeros(0, dtype=np.intp)]
    if draws.ground is not None:
        index.append(np.arange(1))
        sign.append(np.ones(1))
    if draws.spec.payload is not None:
        index.append(np.arange(4))
        sign.append(np.array([1.0, 1.0, -1.0, 1.0]))
    if draws.spec.weak_joint is not None:
        index.append(joints.partner)
        sign.append(np.ones(len(joints.partner)))
    at = np.cumsum([0, *(len(part) for part in index)])
    return (
        np.concatenate([part + start for part, start in zip(index, at[:-1], strict=True)]),
        np.concatenate(sign).astype(np.float32),
    )


def batch_mirror(
    simulation: BatchSimulation,
    contract: PolicyBundle,
    critic: ObservationSpec,
    draws: EpisodeDraws,
    hands: HandTargetSpec | None = None,
) -> BatchMirror:
    """The mirror of what actor and critic see and of what is done.

    Args:
        simulation: the robots.
        contract: the policy.
        critic: the critic's observation, to which `privileged` is added.
        draws: what varies, some of which the critic is told.
        hands: the hand targets, if there are any.

    Raises:
        ContractError, ModelError: left and right differ.
    """
    joints = robot_mirror(simulation.model, simulation.robot)
    driven = tuple(contract.joints)
    policy = mirror_observation(contract.observation, joints, driven=driven, gait=contract.gait)
    seen = mirror_observation(critic, joints, driven=driven, gait=contract.gait)
    feet = partners(simulation.foot_names)
    extra = np.concatenate([np.arange(_N_BODY), _N_BODY + feet, _N_BODY + len(feet) + feet])
    sign = np.ones(len(extra), dtype=np.float32)
    sign[_SIDEWAYS] = -1.0
    if hands is not None:
        hands.require_symmetric()
        image = hand_targets.MIRROR
        extra, sign = np.concatenate([extra, len(extra) + image.index]), np.concatenate([sign, image.sign])
    loads, load_sign = _mirror_loads(draws, joints)
    extra = np.concatenate([extra, len(extra) + loads])
    sign = np.concatenate([sign, load_sign])
    both = Mirroring(np.concatenate([seen.index, len(seen.index) + extra]), np.concatenate([seen.sign, sign]))
    return BatchMirror(policy, both, mirror_action(contract.action, joints))
