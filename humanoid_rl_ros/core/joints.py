"""Joints are matched by name, once: the permutation from what a message lists to what the code expects."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from humanoid_rl_ros.core.arrays import IndexArray
from humanoid_rl_ros.core.errors import ContractError, HumanoidError, StateError, did_you_mean


def repeated_name(names: Sequence[str]) -> str | None:
    """The first name that stands twice, or None."""
    seen: set[str] = set()
    for name in names:
        if name in seen:
            return name
        seen.add(name)
    return None


def indices_of(names: Sequence[str], within: Sequence[str], *, what: str, where: str) -> IndexArray:
    """Where each of `names` stands in `within`.

    Args:
        names: the joints looked for.
        within: the joints that exist.
        what: what the names are, for the error (``"driven joint"``).
        where: what `within` is, for the error (``"robot 'g1'"``).

    Returns:
        Indices into `within` [Shape (len(names),)].

    Raises:
        ContractError: a name that `within` lacks.
    """
    position = {name: i for i, name in enumerate(within)}
    for name in names:
        if name not in position:
            raise ContractError(f"{what} '{name}' is not a joint of {where}; {did_you_mean(name, within)}")
    return np.array([position[name] for name in names], dtype=np.intp)


class JointMatcher:
    """Turns arrays listed in any order into the order of the robot.

    Args:
        joints: the order wanted.
        ignored: names that a message may list and that are dropped.

    The permutation for a given list of names is computed the first time that list is seen.
    """

    def __init__(self, joints: Sequence[str], ignored: Sequence[str] = ()) -> None:
        self.joints = tuple(joints)
        self._ignored = frozenset(ignored)
        self._names: list[str] | tuple[str, ...] | None = None
        self._permutation: IndexArray = np.arange(len(self.joints))

    def permutation(self, names: Sequence[str]) -> IndexArray:
        """Indices into `names` that give the wanted order.

        Args:
            names: joint names as the message lists them.

        Returns:
            [Shape (n,)], such that ``values[permutation]`` is in the robot's order.

        Raises:
            StateError: a joint is missing, unknown or listed twice.
        """
        if self._names is not None and names == self._names:
            return self._permutation
        permutation = self._match(list(names))
        self._names = list(names)
        self._permutation = permutation
        return permutation

    def _match(self, names: list[str]) -> IndexArray:
        twice = repeated_name(names)
        if twice is not None:
            raise StateError(f"joint '{twice}' is listed twice", "wrong_joints")
        found = set(names)
        missing = [j for j in self.joints if j not in found]
        extra = [n for n in names if n not in self.joints and n not in self._ignored]
        if missing and extra:
            text = f"joint '{missing[0]}' is missing and '{extra[0]}' is unknown{_more(missing, extra)}"
            raise StateError(text, "wrong_joints")
        if missing:
            raise StateError(f"joint '{missing[0]}' is missing{_more(missing)}", "wrong_joints")
        if extra:
            text = f"joint '{extra[0]}' is unknown{_more(extra)}; {did_you_mean(extra[0], self.joints)}"
            raise StateError(text, "wrong_joints")
        position = {name: i for i, name in enumerate(names)}
        return np.array([position[j] for j in self.joints], dtype=np.intp)


def _more(*lists: list[str]) -> str:
    rest = sum(len(names) - 1 for names in lists)
    return f" (and {rest} more)" if rest else ""


def refuse_repeated(names: Sequence[str], where: str, error: type[HumanoidError]) -> None:
    """Raise `error` naming the first joint listed twice."""
    twice = repeated_name(names)
    if twice is not None:
        raise error(f"{where}: joint '{twice}' is listed twice")
