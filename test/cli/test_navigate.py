"""`humanoid_rl navigate` and `humanoid_rl map` as a user runs them."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("rclpy")
pytest.importorskip("mujoco")
pytest.importorskip("onnx")
pytest.importorskip("matplotlib")

from conftest import Refuses
from demo_runs import run_command
from floors import best, floor_of, grid_of, write_floor_bundle
from rich.console import Console
from ros_graph import Graph

from humanoid_rl_ros.cli.map_commands import start_of
from humanoid_rl_ros.cli.map_save import save_published_map
from humanoid_rl_ros.cli.map_show import show_map
from humanoid_rl_ros.cli.navigate import NavigateOptions, longest_start, run_navigate
from humanoid_rl_ros.cli.navigate_report import NavigationResult, Track, clearance, draw
from humanoid_rl_ros.core.errors import ConfigError, HumanoidError
from humanoid_rl_ros.interfaces import topics
from humanoid_rl_ros.interfaces.floor_messages import occupancy_message
from humanoid_rl_ros.navigation.map_file import load_map

pytestmark = pytest.mark.ros


@pytest.mark.slow
def test_the_robot_walks_round_the_walls_to_the_goal_through_the_graph(tmp_path: Path) -> None:
    """Five metres as the crow flies, three walls between: no touch, no fall, and the numbers of the file agree."""
    done = run_command(
        "navigate", "rooms", "--start", "3.5,4.5", "--json", "result.json", "--picture", "a.png",
        cwd=tmp_path, timeout=600.0,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    result = json.loads((tmp_path / "result.json").read_text())
    assert result["succeeded"]
    assert result["arrived"]
    assert not result["fell"]
    assert result["goal_distance"] < 0.4
    assert result["least_clearance"] > 0.3
    assert 9.0 < result["walked"] < 1.2 * result["policy_length"]
    assert result["shortest_length"] <= result["policy_length"] <= 1.25 * result["shortest_length"]
    assert (tmp_path / "a.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.slow
def test_a_wall_that_the_policy_does_not_know_of_is_not_walked_through(tmp_path: Path) -> None:
    """The room is shut by a wall that was not there when the policy learned: it does not arrive, and says so."""
    from humanoid_rl_ros.core.occupancy import OccupancyMap
    from humanoid_rl_ros.navigation.map_file import save_map
    from humanoid_rl_ros.resources import find_map

    floor = find_map("rooms")
    squares = np.array(floor.squares)
    squares[60:63, 123:157] = 100
    save_map(OccupancyMap(squares, floor.resolution), tmp_path / "shut.yaml")
    done = run_command(
        "navigate", "rooms", "--map", "shut.yaml", "--start", "7.1,2.0,1.57", "--seconds", 15, "--json", "a.json",
        cwd=tmp_path, timeout=600.0,
    )  # fmt: skip
    assert done.returncode == 1, done.stdout + done.stderr
    result = json.loads((tmp_path / "a.json").read_text())
    assert not result["arrived"]
    assert "m from the goal after 15 s" in done.stderr
    assert len(done.stderr.splitlines()) == 1


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"bundle": "nowhere"}, "no navigation bundle named 'nowhere'"),
        ({"start": (1.5, 1.5)}, "is in no cell from which the goal can be reached; the nearest: ("),
        ({"start": (math.nan, 1.5)}, "finite"),
        ({"robot": "nobody"}, "no robot named 'nobody'"),
        ({"policy": "nothing"}, "no policy named 'nothing'"),
        ({"floor": "nowhere"}, "no map named 'nowhere'"),
        ({"picture": Path("no/such/folder.png")}, "cannot write"),
    ],
)
def test_what_it_cannot_use_is_refused_before_anything_starts(
    tmp_path: Path, options: dict, words: str, refuses: Refuses
) -> None:
    write_floor_bundle(tmp_path / "corner")
    given = {"bundle": str(tmp_path / "corner")} | options
    kind = HumanoidError if "picture" in options else ConfigError
    with refuses(kind, words):
        run_navigate(NavigateOptions(**given), Console(quiet=True))


def test_it_starts_where_the_way_is_the_longest_heading_along_it() -> None:
    """Seven moves from the lower right corner; the first of them, as good as the other, goes up."""
    x, y, yaw = longest_start(best(grid_of()))
    assert (x, y) == (4.5, 0.5)
    assert yaw == pytest.approx(math.pi / 2.0)


def test_the_summary_of_a_walk_worked_out_by_hand(tmp_path: Path) -> None:
    """A metre a second along the lower edge, then up the left one; the block's edge is half a metre away."""
    bundle = write_floor_bundle(tmp_path / "corner")
    policy = bundle.load_policy()
    track = Track(released=1.0, activity="arrived", safety="ACTIVE")
    for i in range(700):
        at = i / 100.0
        x, y = (4.0 - at, 0.5) if at <= 3.5 else (0.5, at - 3.0)
        track.add(at, x, y)
        track.add(at, x, y)
    result = NavigationResult.of(track, bundle, bundle.map, policy, (3.5, 0.5, 0.0), "lockstep")
    assert result.seconds == pytest.approx(5.99)
    assert result.walked == pytest.approx(5.99, abs=0.02)
    assert result.mean_speed == pytest.approx(1.0, abs=0.01)
    assert result.policy_length == result.shortest_length == 6.0
    assert result.least_clearance == pytest.approx(0.5)
    assert result.goal_distance == pytest.approx(0.49)
    assert result.succeeded
    assert result.outcome == "arrived"
    draw(track, bundle, policy, bundle.map, result, tmp_path / "a.png")
    assert (tmp_path / "a.png").read_bytes().startswith(b"\x89PNG")
    track.falls = 1
    fallen = NavigationResult.of(track, bundle, bundle.map, policy, (3.5, 0.5, 0.0), "lockstep")
    assert (fallen.succeeded, fallen.outcome) == (False, "arrived, after 1 fall(s)")


def test_a_run_in_which_nothing_moved_is_no_success(tmp_path: Path) -> None:
    bundle = write_floor_bundle(tmp_path / "corner")
    result = NavigationResult.of(Track(), bundle, bundle.map, bundle.load_policy(), (3.5, 0.5, 0.0), "lockstep")
    assert not result.succeeded
    assert result.seconds == 0.0


def test_clearance_is_to_the_edge_of_what_is_nearest() -> None:
    """The block is from 1 to 3: a point at (4, 4) is a diagonal of a metre away, one inside not at all."""
    assert clearance(np.array([[4.0, 4.0]]), floor_of()) == pytest.approx(math.sqrt(2.0))
    assert clearance(np.array([[4.0, 4.0], [2.0, 2.0]]), floor_of()) == 0.0
    assert math.isinf(clearance(np.array([[4.0, 4.0]]), floor_of(("..", ".."))))


def test_a_map_is_shown_with_the_grid_of_a_goal(capsys: pytest.CaptureFixture[str]) -> None:
    show_map("maze", (8.5, 1.5), 1.0, 0.0, 4, Console(width=200))
    text = capsys.readouterr().out
    assert "10 × 8 m, 10 × 8 squares of 1 m" in text
    assert "#...##..G#" in text
    assert "longest of the shortest ways is" in text
    show_map("rooms", None, 0.25, 0.3, 8, Console(width=200))
    assert "9 boxes" in capsys.readouterr().out


def test_a_published_map_is_saved_once(tmp_path: Path, graph: Graph, refuses: Refuses, monkeypatch) -> None:  # type: ignore[no-untyped-def]  # pytest's
    monkeypatch.setenv("ROS_DOMAIN_ID", str(graph.domain))
    graph.speak(topics.MAP).publish(occupancy_message(floor_of(), 0, "map"))
    console = Console(quiet=True)
    save_published_map(tmp_path / "a.yaml", "map", "", 20.0, console, overwrite=False)
    assert load_map(tmp_path / "a.yaml").digest == floor_of().digest
    with refuses(HumanoidError, "a.yaml is there already; --overwrite"):
        save_published_map(tmp_path / "a.yaml", "map", "", 1.0, console, overwrite=False)
    with refuses(HumanoidError, "no map on /a/map within 0.2 s: nobody publishes it"):
        save_published_map(tmp_path / "b.yaml", "map", "a", 0.2, console, overwrite=False)
    with refuses(ConfigError, "cannot be a topic's name"):
        save_published_map(tmp_path / "b.yaml", "my map", "", 0.2, console, overwrite=False)


@pytest.mark.parametrize("text", ["1", "a,b", "1,2,3,4"])
def test_a_start_is_two_or_three_numbers(text: str, refuses: Refuses) -> None:
    assert start_of("1.5,2") == (1.5, 2.0)
    assert start_of("1 2 0.5") == (1.0, 2.0, 0.5)
    assert start_of("") == ()
    with refuses(ConfigError, "--start is two or three numbers"):
        start_of(text)
