"""How often the PD law of a policy runs that was trained in slow physics and walks on fast motors."""

from __future__ import annotations

import math

from humanoid_rl_ros.core.errors import ConfigError
from humanoid_rl_ros.policies.importers.draft import Draft

SLOWEST = 500.0
"""At 200 Hz the gains of these trainings leave no room for the delay of one joint state: the robot falls. At this rate
it walks with it [Hz]."""
_SHORTEST, _LONGEST = 1e-4, 1.0
"""Control periods that are believed [s]."""


def lay_motor_rate(draft: Draft, where: str, trained: float, said_by: str) -> None:
    """Infer ``pd_rate``: a whole multiple of the policy's rate that is not below `SLOWEST`.

    Args:
        draft: takes it; its control period counts, if known.
        where: the file, at the head of an error.
        trained: rate of the PD law in training [Hz].
        said_by: who says so, for the reason.

    Raises:
        ConfigError: the control period is none.
    """
    period = draft.keys.get("control_period", 0.02)
    if not _SHORTEST <= period <= _LONGEST:
        raise ConfigError(f"{where}: control period must be from {_SHORTEST:g} to {_LONGEST:g} s, found {period:g}")
    rate = round(math.ceil(max(trained, SLOWEST) * period - 1e-6) / period, 6)
    why = "a rate that bears the delay of one joint state, as motors do that run the law themselves"
    draft.infer("pd_rate", rate, f"{why}; training ran it at {trained:g} Hz without delay, {said_by}")
