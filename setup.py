"""Installs the package for pip and for colcon (ament_python) from one description."""

import os
import re
from pathlib import Path

from setuptools import find_packages, setup

NAME = "humanoid_rl_ros"
SHARE = f"share/{NAME}"
EXECUTABLES = "resource/executables"  # shell scripts, so that `ros2 run` finds the nodes after pip alone too


def version() -> str:
    """The version stands once, in the package; package.xml repeats it and a test compares them."""
    text = Path(NAME, "__init__.py").read_text(encoding="utf-8")
    return re.search(r'^__version__ = "([^"]+)"', text, re.MULTILINE).group(1)


def tree(source: str, target: str) -> list:
    """Every file below a folder as setuptools' data_files, subfolders kept; listed at build time."""
    found = []
    for folder, subfolders, names in os.walk(source):
        subfolders[:] = sorted(s for s in subfolders if not s.startswith((".", "__")))
        files = [f"{folder}/{n}" for n in sorted(names) if not n.startswith(".") and not n.endswith((".pyc", "~"))]
        files = [f for f in files if os.path.isfile(f)]  # a symlink colcon left of a removed file is not one
        if files:
            found.append((os.path.normpath(f"{target}/{os.path.relpath(folder, source)}"), files))
    return found


ROS = [
    "ros-rclpy[fastrtps]>=9.1.2,<9.2",
    "ros-std-msgs>=5.5.1,<5.6",
    "ros-sensor-msgs>=5.5.1,<5.6",
    "ros-geometry-msgs>=5.5.1,<5.6",
    "ros-nav-msgs>=5.5.1,<5.6",
    "ros-trajectory-msgs>=5.5.1,<5.6",
    "ros-std-srvs>=5.5.1,<5.6",
    "ros-diagnostic-msgs>=5.5.1,<5.6",
    "ros-builtin-interfaces>=2.3.0,<2.4",
    "ros-rosgraph-msgs>=2.3.0,<2.4",
    "ros-lifecycle-msgs>=2.3.0,<2.4",
    "ros-rcl-interfaces>=2.3.0,<2.4",
]
# For other machines than these there are no ROS wheels: there ROS comes from its own distribution (docs/deploy.md).
WITH_ROS_WHEELS = 'sys_platform == "linux" and platform_machine == "x86_64"'
SIMULATION = [
    "mujoco>=3.3,<5",
    # MuJoCo 3 needs etils, whose 1.14 left Python 3.10; an index that does not say so sends pip on a long search.
    'etils<1.14; python_version < "3.11"',
]
POLICY = ["onnxruntime>=1.20,<2"]
ONNX = "onnx>=1.18,<2"  # writes policies; running them needs onnxruntime alone
# Its `mujoco` extra brings imageio, without which none of its MuJoCo environments can be made.
GYMNASIUM = "gymnasium[mujoco]>=1.1,<2"
PETTINGZOO = "pettingzoo>=1.24,<2"
CLI = ["rich>=13.8,<16", "typer>=0.15,<1"]
# zstandard and lz4 come with mcap; the reader of torn files uses them itself.
BAGS = ["rosbags>=0.11.9,<0.12", "mcap>=1.6,<2", "zstandard", "lz4", "jinja2>=3.1,<4"]
PLOT = ["matplotlib>=3.8,<4"]
IMAGES = ["pillow>=9.1"]  # of maps of the floor

setup(
    name=NAME,
    version=version(),
    description="Train a humanoid's policy, run it as a ROS 2 node, guard it, record and replay it.",
    long_description=Path("README.md").read_text(encoding="utf-8") if Path("README.md").exists() else "",
    long_description_content_type="text/markdown",
    author="Humanoid RL ROS maintainers",
    author_email="maintainers@humanoid-rl-ros.org",
    maintainer="Humanoid RL ROS maintainers",
    maintainer_email="maintainers@humanoid-rl-ros.org",
    license="Apache-2.0",
    keywords=["ROS 2", "humanoid", "reinforcement learning", "safety"],
    packages=find_packages(exclude=["test*"]),
    package_data={NAME: ["py.typed"], f"{NAME}.simulation": ["models/*.xml"], f"{NAME}.cli": ["templates/*"]},
    data_files=[
        ("share/ament_index/resource_index/packages", [f"resource/{NAME}"]),
        (SHARE, ["package.xml"]),
        *tree("launch", f"{SHARE}/launch"),
        *tree("config", f"{SHARE}/config"),
        *tree("resource/security", f"{SHARE}/security"),
        *tree(EXECUTABLES, f"lib/{NAME}"),
    ],
    zip_safe=False,
    python_requires=">=3.10,<3.14",
    install_requires=["numpy>=1.21", "pyyaml>=5.4"],
    extras_require={
        "ros": ROS,
        "simulation": [*SIMULATION, *IMAGES],
        "policy": POLICY,
        "export": [ONNX],
        "cli": CLI,
        "plot": PLOT,
        "bags": [*BAGS, *POLICY, *CLI, *PLOT],
        # A robot's computer: runs, guards and records; neither torch nor mujoco.
        "onboard": [*(f"{wheel}; {WITH_ROS_WHEELS}" for wheel in ROS), *POLICY, *CLI, *BAGS, *IMAGES],
        "demo": [*ROS, *SIMULATION, *IMAGES, *POLICY, *BAGS, *CLI, *PLOT, ONNX],
        # torch is pinned exactly: `==2.13.0` also takes the CPU build, 2.13.0+cpu, and prefers it where it is offered.
        "train": [*SIMULATION, *IMAGES, *POLICY, *CLI, *PLOT, "torch==2.13.0", GYMNASIUM, PETTINGZOO, ONNX],
        # What `humanoid_rl bench training` measures itself against; nothing else needs them.
        "peers": ["stable-baselines3>=2.9,<3", "rsl-rl-lib>=5.5,<6"],
        "test": [
            "pytest==8.3.5",  # launch_pytest breaks with 8.4, launch_testing with 9
            "pytest-xdist>=3.6,<4",
            "hypothesis>=6.100,<7",
            ONNX,
            PETTINGZOO,
            "catkin-pkg>=1.0,<2",
            "import-linter>=2.11,<3",
            "mypy==2.4.*",
            "ruff==0.17.*",
            "types-PyYAML>=6.0.12.20240917,<7",
            "setuptools>=68,<80",  # with wheel: the packaging test builds without isolation
            "wheel>=0.43",
        ],
    },
    entry_points={"console_scripts": ["humanoid_rl = humanoid_rl_ros.cli.main:main"]},
)
