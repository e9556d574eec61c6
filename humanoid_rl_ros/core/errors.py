"""Errors that a user can act on: each says what was wrong, what was found and what was expected."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class HumanoidError(Exception):
    """Base of every error this package raises on purpose; its text is one line for the user."""


class ConfigError(HumanoidError):
    """A YAML file is missing, malformed, or says something that cannot be."""


class ModelError(HumanoidError):
    """A robot model (MJCF, URDF) cannot be read or cannot be driven."""


class ContractError(HumanoidError):
    """A policy does not fit the robot it is asked to drive."""


class StateError(HumanoidError):
    """A measured state is unusable; no effort may be computed from it.

    Args:
        text: one line for people.
        code: what is wrong, short and stable for machines: ``malformed``, ``non_finite``, ``wrong_joints``,
            ``clock_jump``.
    """

    def __init__(self, text: str, code: str = "malformed") -> None:
        super().__init__(text)
        self.code = code


class PolicyError(HumanoidError):
    """The network cannot be loaded or gave something that is not an action."""


class TrainingError(HumanoidError):
    """Training cannot go on: something became NaN, or a checkpoint cannot be written or read."""


class SimulatorError(HumanoidError):
    """A simulator that runs elsewhere is not there, does not answer, or does not do what it was asked."""


class BagError(HumanoidError):
    """A bag cannot be written, read or replayed."""


class MissingDependencyError(HumanoidError):
    """An optional dependency that this command needs is not installed."""


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """A hint naming the nearest known name, or listing all of them when none is near.

    Args:
        name: the name that was not found.
        known: the names that exist.

    Returns:
        A fragment such as ``did you mean 'joint_vel_rel'?`` to append to an error.
    """
    names = [str(n) for n in known]
    near = difflib.get_close_matches(str(name), names, n=1, cutoff=0.6)
    if near:
        return f"did you mean '{near[0]}'?"
    return f"known: {', '.join(sorted(names))}" if names else "none is known"
