"""What came of a walk over a floor: numbers, a table, a picture from above."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from rich.table import Table

from humanoid_rl_ros.core.arrays import FloatArray
from humanoid_rl_ros.core.occupancy import OCCUPIED, UNKNOWN, OccupancyMap
from humanoid_rl_ros.navigation.bundle import NavigationBundle
from humanoid_rl_ros.navigation.grid_policy import GridPolicy
from humanoid_rl_ros.safety.status import PASSING_NAMES


@dataclass
class Track:
    """What was seen.

    Attributes:
        time: simulated [s].
        points: of the base, by odometry [m].
        activities: of the navigator: simulated time [s] and what it began to do.
        released: simulated time at which the robot was let go [s].
        activity, reason: of the navigator at the end.
        falls: times that the robot fell.
        safety: state of the safety monitor at the end.
    """

    time: list[float] = field(default_factory=list)
    points: list[tuple[float, float]] = field(default_factory=list)
    activities: list[tuple[float, str]] = field(default_factory=list)
    released: float = math.inf
    activity: str = ""
    reason: str = ""
    falls: int = 0
    safety: str = ""

    @property
    def now(self) -> float:
        """Simulated time of the last odometry [s]."""
        return self.time[-1] if self.time else 0.0

    def add(self, time: float, x: float, y: float) -> None:
        """One odometry message; what is told again at one instant is kept once."""
        if not self.time or time > self.time[-1]:
            self.time.append(time)
            self.points.append((x, y))

    def walked(self) -> FloatArray:
        """The points since the robot was let go [m; Shape (n, 2)]."""
        kept = [point for at, point in zip(self.time, self.points, strict=True) if at >= self.released]
        return np.array(kept or self.points[-1:], dtype=np.float64).reshape(-1, 2)


@dataclass(frozen=True)
class NavigationResult:
    """The summary of a run; `--json` writes these fields and `succeeded`.

    Attributes:
        bundle, mode: what ran.
        start: x, y [m], yaw [rad].
        goal: x, y [m].
        arrived: whether the robot stood at the goal at the end.
        fell: whether it fell on the way.
        seconds: simulated, from the release to the end [s].
        policy_length: of the way that the policy says from the start [m]; inf where it does not arrive.
        shortest_length: of the shortest way on the grid [m].
        walked: length of the way of the base, without its sway: between points half a second apart [m].
        mean_speed: that, over the time [m/s].
        goal_distance: of the base from the goal at the end [m].
        least_clearance: of the base from an obstacle, on the whole way [m]; inf where there is none.
        falls: times that it fell.
        activity, reason: of the navigator at the end.
        safety_state: at the end.
    """

    bundle: str
    mode: str
    start: tuple[float, ...]
    goal: tuple[float, float]
    arrived: bool
    fell: bool
    seconds: float
    policy_length: float
    shortest_length: float
    walked: float
    mean_speed: float
    goal_distance: float
    least_clearance: float
    falls: int
    activity: str
    reason: str
    safety_state: str

    @property
    def succeeded(self) -> bool:
        """Whether the robot walked to the goal on its feet."""
        return self.arrived and not self.fell

    @property
    def outcome(self) -> str:
        """In one line."""
        if self.succeeded:
            return "arrived"
        if self.arrived:
            return f"arrived, after {self.falls} fall(s)"
        what = "fell" if self.fell else "did not arrive"
        where = f"{self.goal_distance:.2f} m from the goal after {self.seconds:.0f} s"
        return f"{what}, {where}: {self.activity}, {self.reason}"

    def as_json(self) -> dict[str, Any]:
        """The fields as JSON types."""
        return asdict(self) | {"succeeded": self.succeeded}

    @classmethod
    def of(
        cls,
        track: Track,
        bundle: NavigationBundle,
        floor: OccupancyMap,
        policy: GridPolicy,
        start: tuple[float, ...],
        mode: str,
    ) -> NavigationResult:
        """The numbers of a run.

        Args:
            track: what was seen.
            bundle, policy: what was followed.
            floor: what stood in the world.
            start: where the robot was put.
            mode: of the simulation.
        """
        points = track.walked()
        seconds = max(0.0, track.now - track.released) if math.isfinite(track.released) else 0.0
        every = max(1, round(0.5 * len(points) / seconds)) if seconds > 0.0 else 1
        coarse = np.concatenate([points[::every], points[-1:]])
        walked = float(np.linalg.norm(np.diff(coarse, axis=0), axis=1).sum()) if len(coarse) > 1 else 0.0
        state = policy.grid.state_of(np.array(start[:2]))
        away = float(np.linalg.norm(points[-1] - bundle.grid.goal)) if len(points) else math.inf
        return cls(
            bundle=bundle.name,
            mode=mode,
            start=tuple(map(float, start)),
            goal=bundle.grid.goal,
            arrived=track.activity == "arrived" and track.safety in PASSING_NAMES and seconds > 0.0,
            fell=track.falls > 0 or track.safety in ("FALLING", "FALLEN", "RECOVERING"),
            seconds=seconds,
            policy_length=math.inf if state is None else float(policy.lengths[state]),
            shortest_length=math.inf if state is None else float(policy.grid.distances[state]) * policy.grid.cell,
            walked=walked,
            mean_speed=walked / seconds if seconds > 0.0 else 0.0,
            goal_distance=away,
            least_clearance=clearance(points, floor),
            falls=track.falls,
            activity=track.activity or "silent",
            reason=track.reason,
            safety_state=track.safety,
        )


def clearance(points: FloatArray, floor: OccupancyMap) -> float:
    """The least distance of points from an obstacle; inf without either [m].

    Args:
        points: [m; map frame; Shape (n, 2)].
        floor: the obstacles.
    """
    rectangles = floor.rectangles()
    if not len(points) or not len(rectangles):
        return math.inf
    inside = floor.origin.inward(points)
    apart = np.abs(inside[:, None] - rectangles[None, :, :2]) - rectangles[None, :, 2:]
    return float(np.linalg.norm(np.maximum(apart, 0.0), axis=2).min())


def summary_table(result: NavigationResult) -> Table:
    """The summary for people."""
    table = Table(title=f"{result.bundle} · {result.mode}", show_header=False, title_justify="left")
    rows = {
        "outcome": result.outcome,
        "simulated time": f"{result.seconds:.1f} s",
        "way": f"{result.walked:.1f} m walked, {result.policy_length:.1f} m by the policy, "
        f"{result.shortest_length:.1f} m the shortest on the grid",
        "mean speed": f"{result.mean_speed:.2f} m/s",
        "at the end": f"{result.goal_distance:.2f} m from the goal",
        "nearest obstacle": f"{result.least_clearance:.2f} m from the base",
        "safety monitor": result.safety_state,
    }
    for name, value in rows.items():
        table.add_row(name, value)
    return table


def draw(
    track: Track,
    bundle: NavigationBundle,
    policy: GridPolicy,
    floor: OccupancyMap,
    result: NavigationResult,
    path: Path,
) -> None:
    """The floor from above: obstacles, values as colours, greedy moves as arrows, and the way that was walked.

    Raises:
        OSError: the file cannot be written.
    """
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot
    from matplotlib.collections import PolyCollection
    from matplotlib.patches import Polygon

    grid = bundle.grid
    width, height = floor.size
    figure, axis = pyplot.subplots(figsize=(2.0 + 1.2 * width, 1.2 + 1.2 * height), layout="constrained")
    corners = np.array([[0, 0], [1, 0], [1, 1], [0, 1]], dtype=np.float64)
    lower_left = grid.states[:, None, ::-1]
    cells = list(grid.origin.outward((lower_left + corners) * grid.cell))
    values = policy.values.max(axis=1)
    values[grid.goal_state] = np.delete(values, grid.goal_state).max()
    colours = PolyCollection(cells, array=values, cmap="viridis", alpha=0.55, edgecolors="white", linewidths=0.4)
    axis.add_collection(colours)
    figure.colorbar(colours, ax=axis, label="value of the best move", shrink=0.8)
    for x, y, half_x, half_y in floor.rectangles():
        box = floor.origin.outward(np.array([x, y]) + (2.0 * corners - 1.0) * (half_x, half_y))
        axis.add_patch(Polygon(box, facecolor="0.25", edgecolor="none"))
    unknown = OccupancyMap(np.where(floor.squares == UNKNOWN, OCCUPIED, 0), floor.resolution, floor.origin)
    for x, y, half_x, half_y in unknown.rectangles():
        box = floor.origin.outward(np.array([x, y]) + (2.0 * corners - 1.0) * (half_x, half_y))
        axis.add_patch(Polygon(box, facecolor="0.8", edgecolor="none"))
    others = np.arange(len(grid.states)) != grid.goal_state
    heads = (grid.centres[policy.following] - grid.centres)[others]
    heads *= 0.55 * grid.cell / np.linalg.norm(heads, axis=1, keepdims=True)
    leads = policy.arrives[others]
    axis.quiver(
        *grid.centres[others].T,
        *heads.T,
        color=np.where(leads, "0.25", "tab:red"),
        angles="xy",
        scale_units="xy",
        scale=1.0,
        pivot="mid",
        width=0.0022,
    )
    walked = track.walked()
    axis.plot(*walked.T, color="tab:orange", linewidth=2.2, label="walked, by /odom")
    state = grid.state_of(np.array(result.start[:2]))
    if state is not None:
        axis.plot(*policy.points(state).T, color="black", linewidth=1, linestyle=":", label="the policy's")
    axis.plot(*result.start[:2], marker="o", color="tab:blue", markersize=9, linestyle="none", label="start")
    axis.plot(*grid.goal, marker="*", color="tab:red", markersize=16, linestyle="none", label="goal")
    axis.set(aspect="equal", xlabel="x [m]", ylabel="y [m]")
    axis.autoscale_view()
    figure.suptitle(f"{bundle.name} · {result.outcome}", wrap=True)
    axis.legend(loc="upper center", bbox_to_anchor=(0.5, -0.08), ncols=4, frameon=False)
    figure.savefig(path, dpi=110)
    pyplot.close(figure)
