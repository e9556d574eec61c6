"""What holosoma's runner knows by heart of two robots: its ONNX files say it themselves only since late 2025."""

from __future__ import annotations

from dataclasses import dataclass

INPUT_SIZE = 100
"""Of the walking policies that the runner's presets are for."""
ACTION_SCALE = 0.25
ACTION_CLIP = 100.0
CONTROL_RATE = 50.0
"""[Hz]"""
PD_RATE = 200.0
"""[Hz]"""
GAIT_PERIOD = 1.0
"""[s]"""


@dataclass(frozen=True)
class Preset:
    """A robot as the runner configures it for walking.

    Attributes:
        robot: short name.
        joints: in the order of the network.
        default: pose that an action of zero stands for [rad].
        effort: limits it was trained with [N·m].
        scales: of the observed terms; 1 for those left out.
    """

    robot: str
    joints: tuple[str, ...]
    default: tuple[float, ...]
    effort: tuple[float, ...]
    scales: dict[str, float]


TERMS = (
    "actions",
    "base_ang_vel",
    "command_ang_vel",
    "command_lin_vel",
    "cos_phase",
    "dof_pos",
    "dof_vel",
    "projected_gravity",
    "sin_phase",
)
"""Of both presets, in the order of the vector."""

_G1_LEG = ("hip_pitch", "hip_roll", "hip_yaw", "knee", "ankle_pitch", "ankle_roll")
_G1_WAIST = ("waist_yaw", "waist_roll", "waist_pitch")
_G1_ARM = ("shoulder_pitch", "shoulder_roll", "shoulder_yaw", "elbow", "wrist_roll", "wrist_pitch", "wrist_yaw")
G1 = Preset(
    robot="g1",
    joints=(
        *(f"left_{name}_joint" for name in _G1_LEG),
        *(f"right_{name}_joint" for name in _G1_LEG),
        *(f"{name}_joint" for name in _G1_WAIST),
        *(f"left_{name}_joint" for name in _G1_ARM),
        *(f"right_{name}_joint" for name in _G1_ARM),
    ),
    default=(
        *(-0.312, 0.0, 0.0, 0.669, -0.363, 0.0) * 2,
        *(0.0, 0.0, 0.0),
        *(0.2, 0.2, 0.0, 0.6, 0.0, 0.0, 0.0),
        *(0.2, -0.2, 0.0, 0.6, 0.0, 0.0, 0.0),
    ),
    effort=(
        *(88.0, 139.0, 88.0, 139.0, 50.0, 50.0) * 2,
        *(88.0, 50.0, 50.0),
        *(25.0, 25.0, 25.0, 25.0, 25.0, 5.0, 5.0) * 2,
    ),
    scales={"base_ang_vel": 0.25, "dof_vel": 0.05},
)

_T1_ARM = ("Shoulder_Pitch", "Shoulder_Roll", "Elbow_Pitch", "Elbow_Yaw", "Wrist_Pitch", "Wrist_Yaw", "Hand_Roll")
_T1_LEG = ("Hip_Pitch", "Hip_Roll", "Hip_Yaw", "Knee_Pitch", "Ankle_Pitch", "Ankle_Roll")
T1 = Preset(
    robot="t1",
    joints=(
        *("AAHead_yaw", "Head_pitch"),
        *(f"Left_{name}" for name in _T1_ARM),
        *(f"Right_{name}" for name in _T1_ARM),
        "Waist",
        *(f"Left_{name}" for name in _T1_LEG),
        *(f"Right_{name}" for name in _T1_LEG),
    ),
    default=(
        *(0.0, 0.0),
        *(0.2, -1.35, 0.0, -0.5, 0.0, 0.0, 0.0),
        *(0.2, 1.35, 0.0, 0.5, 0.0, 0.0, 0.0),
        0.0,
        *(-0.2, 0.0, 0.0, 0.4, -0.25, 0.0) * 2,
    ),
    effort=(
        *(7.0, 7.0),
        *(18.0,) * 14,
        30.0,
        *(45.0, 30.0, 30.0, 60.0, 12.0, 12.0) * 2,
    ),
    scales={"dof_vel": 0.1},
)

PRESETS = (G1, T1)


def find_preset(joints: tuple[str, ...]) -> Preset | None:
    """The preset of these joints in this order, or None."""
    return next((preset for preset in PRESETS if preset.joints == joints), None)
