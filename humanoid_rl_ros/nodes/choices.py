"""Words that parameters, launch arguments and commands choose from."""

from __future__ import annotations

MODES = ("realtime", "lockstep")
COMMAND_TYPES = ("float64_multi_array", "joint_state")
CMD_VEL_TYPES = ("twist_stamped", "twist")
TELEOPERATIONS = ("none", "joystick", "keyboard")
