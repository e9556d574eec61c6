"""`humanoid_rl bag report`: one page that needs nothing else, and the same as files."""

from __future__ import annotations

import csv
import io
import json
import re
import shutil
import subprocess
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from bag_files import (
    ARRAY,
    FORCES,
    IMU,
    JOINT_STATE,
    NAMES,
    ODOMETRY,
    SECOND,
    START,
    STATUS,
    STRING,
    TWIST,
    command,
    contacts,
    fall,
    joint_states,
    notes,
    odometry,
    policy_effort,
    status,
    text,
    twist,
    write_bag,
)
from conftest import Refuses
from demo_runs import run_command
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from rich.console import Console

from humanoid_rl_ros.cli.bag_report import ReportOptions, run_report
from humanoid_rl_ros.core.errors import BagError, ConfigError, HumanoidError
from humanoid_rl_ros.core.robot import JointSpec, RobotSpec, dump_robot
from humanoid_rl_ros.interfaces.cdr import ImuWriter

VOID = {"meta", "br", "line", "path", "rect"}


class Page(HTMLParser):
    """Whether tags are closed, and what the page would load."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.loads: list[str] = []
        self.tags: dict[str, int] = {}
        self.words: list[str] = []
        self.feed(page)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags[tag] = self.tags.get(tag, 0) + 1
        self.loads += [f"{k}={v}" for k, v in attrs if k in ("src", "srcset", "data", "action", "xlink:href")]
        self.loads += [f"{k}={v}" for k, v in attrs if k == "href" and not (v or "").startswith("#")]
        if tag in ("link", "iframe", "object", "embed", "base"):
            self.loads.append(tag)
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags[tag] = self.tags.get(tag, 0) + 1

    def handle_endtag(self, tag: str) -> None:
        assert self.open, f"</{tag}> closes nothing"
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if not self.open or self.open[-1] not in ("style", "script"):
            self.words.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.words).split())


def biped(folder: Path) -> Path:
    """A robot file of the joints of the small bags."""
    path = folder / "small.yaml"
    path.write_text(dump_robot(RobotSpec("biped", tuple(JointSpec(name, -1.0, 1.0, 10.0) for name in NAMES))))
    return path


@pytest.fixture
def robot_file(tmp_path: Path, robot: RobotSpec) -> str:
    path = tmp_path / "biped.yaml"
    path.write_text(dump_robot(robot))
    return str(path)


def report(bag: Path, page: Path, **options: object) -> tuple[Page, str]:
    printed = io.StringIO()
    run_report(ReportOptions(bag, page, **options), Console(file=printed, width=120))  # type: ignore[arg-type]
    return Page(page.read_text(encoding="utf-8")), printed.getvalue()


def test_the_page_of_a_fall(tmp_path: Path, robot_file: str) -> None:
    out = tmp_path / "report.html"
    page, printed = report(write_bag(tmp_path / "bag", fall()), out, robot=robot_file)
    assert page.loads == []
    source = out.read_text()
    assert not any(word in source for word in ("http", "@import", "url(", "import("))
    for words in ("fell once (at 2.0 s)", "biped", "tilt 0.40 rad grows by 2.0 rad/s", "knee", "100% of 40 N·m"):
        assert words in page.text
    assert "carry no stamp" in page.text
    assert "no topic of the bag says them" in page.text
    assert page.tags["path"] > 20
    assert "fell once" in printed
    assert str(out) in printed.replace("\n", "")


def test_the_numbers_as_files(tmp_path: Path, robot_file: str) -> None:
    folder, pictures, found = tmp_path / "csv", tmp_path / "png", tmp_path / "found.json"
    bag = write_bag(tmp_path / "bag", fall())
    report(bag, tmp_path / "r.html", robot=robot_file, csv=folder, png=pictures, json_file=found)
    assert json.loads(found.read_text())["faults"][0]["time"] == pytest.approx(2.0)
    with (folder / "joint_states.csv").open(newline="") as file:
        head, first, *rest = csv.reader(file)
    assert head[:4] == ["time [s]", "log [ns]", "stamp [ns]", "hip position [rad]"]
    assert head[-1] == "arm effort [N·m]"
    assert first[:4] == ["0.000000", str(START), str(50 * SECOND), "0.1"]
    assert len(rest) == 298
    names = {path.name for path in folder.iterdir()}
    assert {"commands.csv", "imu.csv", "odometry.csv", "tracking_error.csv", "faults.csv", "topics.csv"} <= names
    drawn = {path.name for path in pictures.iterdir()}
    assert drawn == {"motion.png", "efforts.png", "tracking_error.png", "timing.png", "fault_1.png"}
    assert all(path.read_bytes().startswith(b"\x89PNG") for path in pictures.iterdir())


@pytest.mark.parametrize(
    ("left_out", "said"),
    [
        ("joint_states", "Measured efforts: not recorded"),
        ("imu", "odometry; no IMU was recorded"),
        ("policy", "Tracking error: needs target positions"),
        ("commands", "Commands to the motors: not recorded"),
        ("odom", "Measured velocity: not recorded"),
        ("cmd_vel", "Commanded velocity: not recorded"),
        ("safety", "No safety status was recorded"),
    ],
)
def test_what_is_missing_is_said_and_the_rest_is_there(
    tmp_path: Path, robot_file: str, left_out: str, said: str
) -> None:
    bag = write_bag(tmp_path / "bag", [m for m in fall() if left_out not in m[0]])
    page, _ = report(bag, tmp_path / "r.html", robot=robot_file)
    assert said in page.text
    assert page.tags["path"] > 10


def test_without_a_robot_there_are_no_limits(tmp_path: Path) -> None:
    page, _ = report(write_bag(tmp_path / "bag", fall()), tmp_path / "r.html")
    assert "nobody knows the robot" in page.text
    assert "knee" in page.text


def test_contacts_are_drawn_where_a_topic_says_them(tmp_path: Path) -> None:
    touches = [("/foot_contacts", ARRAY, START + i * SECOND // 50, command([i % 2, 1.0])) for i in range(100)]
    page, _ = report(write_bag(tmp_path / "bag", fall() + touches), tmp_path / "r.html")
    assert "On the ground /foot_contacts 0 1" in page.text
    assert "Force of the ground" not in page.text
    assert "no topic of the bag says them" not in page.text


def test_forces_of_the_feet_are_bars_and_curves_with_their_names(tmp_path: Path) -> None:
    """A second of walking: strides of 0.4 s, of which the left foot stands for 0.24 s and the right for 0.28 s."""
    steps = [(300.0 * (i % 20 < 12), 200.0 * ((i + 10) % 20 < 14)) for i in range(100)]
    walk = [
        ("/simulation/foot_contacts", FORCES, START + i * SECOND // 50, contacts("left_foot,right_foot", forces))
        for i, forces in enumerate(steps)
    ]
    out, folder, pictures = tmp_path / "r.html", tmp_path / "csv", tmp_path / "png"
    page, _ = report(write_bag(tmp_path / "bag", walk), out, csv=folder, png=pictures)
    assert "On the ground /simulation/foot_contacts left_foot right_foot" in page.text
    assert "Force of the ground N left_foot right_foot" in page.text
    assert "(duty factor): left_foot 60%, right_foot 70%, in 1.6 s of walking." in page.text
    # Five strides of the left foot are five bars; the right one is down at the beginning, too.
    bars = re.findall(r'class="s\d span" data-name="(\w+)" d="([^"]+)"', out.read_text())
    assert {name: path.count("M") for name, path in bars} == {"left_foot": 5, "right_foot": 6}
    with (folder / "contacts_simulation_foot_contacts.csv").open(newline="") as file:
        head, first, *_ = csv.reader(file)
    assert head[-2:] == ["left_foot [N]", "right_foot [N]"]
    assert first[-2:] == ["300", "200"]
    assert (pictures / "feet.png").is_file()


def test_feet_that_never_step_have_no_duty_factor(tmp_path: Path) -> None:
    still = [
        ("/simulation/foot_contacts", FORCES, START + i * SECOND // 50, contacts("left_foot,right_foot", (170, 170)))
        for i in range(100)
    ]
    page, _ = report(write_bag(tmp_path / "bag", still), tmp_path / "r.html")
    assert "No foot made a stride while the policy drove the robot." in page.text


def test_a_bag_of_something_else_and_a_torn_one(tmp_path: Path) -> None:
    page, _ = report(write_bag(tmp_path / "other", notes(5)), tmp_path / "r.html")
    assert "nobody can tell" in page.text
    folder = write_bag(tmp_path / "bag", fall())
    (folder / "metadata.yaml").unlink()
    file = folder / "bag.mcap"
    file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])
    page, printed = report(folder, tmp_path / "r.html")
    assert "cut off" in page.text
    assert "note: bag.mcap is cut off" in printed
    page, _ = report(write_bag(tmp_path / "none", [], empty_topics={"/joint_states": STRING}), tmp_path / "r.html")
    assert "nobody can tell" in page.text


def test_what_a_bag_says_is_text_and_no_page(tmp_path: Path) -> None:
    evil = "</script><script>alert(1)</script><img src=x onerror=alert(1)>"
    messages = [
        ("/safety/status", STATUS, START, status("ACTIVE", 0, faults=0)),
        ("/safety/status", STATUS, START + SECOND, status(evil, 0, faults=1, text=evil, last_fault=f"{evil}: {evil}")),
        (f"/{evil}", STRING, START + SECOND, text(evil)),
    ]
    page, _ = report(write_bag(tmp_path / "bag", messages, custom={evil: evil}), tmp_path / "r.html")
    assert page.tags["script"] == 1
    assert "img" not in page.tags
    assert evil in page.text


def test_a_part_is_drawn_closer(tmp_path: Path, robot_file: str, refuses: Refuses) -> None:
    bag = write_bag(tmp_path / "bag", fall())
    page, _ = report(bag, tmp_path / "r.html", robot=robot_file, start=1.5, end=2.5)
    assert "1.5 s to 2.5 s" in page.text
    assert 'viewBox="1500 0 1000 1000"' in (tmp_path / "r.html").read_text()
    with refuses(HumanoidError, "nothing to show", "2.993 s long"):
        report(bag, tmp_path / "r.html", start=5.0)


def test_what_cannot_be_done_is_said_in_one_line(tmp_path: Path, refuses: Refuses) -> None:
    bag = write_bag(tmp_path / "bag", fall())
    with refuses(HumanoidError, "no folder"):
        report(bag, tmp_path / "nowhere" / "r.html")
    with refuses(BagError, "no such file"):
        report(tmp_path / "nothing", tmp_path / "r.html")
    with refuses(ConfigError, "no robot named 'refrence'", "did you mean 'reference'?"):
        report(bag, tmp_path / "r.html", robot="refrence")
    both = sorted(fall("/one") + fall("/two"), key=lambda message: message[2])
    two = write_bag(tmp_path / "two", both)
    with refuses(BagError, "/one, /two"):
        report(two, tmp_path / "r.html")
    page, _ = report(two, tmp_path / "r.html", namespace="one")
    assert "fell once" in page.text
    (tmp_path / "file").write_text("")
    with refuses(HumanoidError, "cannot write"):
        report(bag, tmp_path / "r.html", csv=tmp_path / "file")


def test_as_a_user_runs_it(tmp_path: Path) -> None:
    bag = write_bag(tmp_path / "bag", fall())
    done = run_command("bag", "report", bag, "-o", tmp_path / "r.html")
    assert done.returncode == 0, done.stderr
    assert "wrote" in done.stdout
    done = run_command("bag", "report", tmp_path / "nothing")
    assert done.returncode == 2
    assert done.stderr.startswith("error: ")
    assert "Traceback" not in done.stderr


BROWSER = shutil.which("chromium") or shutil.which("google-chrome")


@pytest.mark.slow
@pytest.mark.skipif(BROWSER is None, reason="no Chromium on this machine")
def test_a_browser_draws_it_and_runs_its_script(tmp_path: Path, robot_file: str) -> None:
    report(write_bag(tmp_path / "bag", fall()), tmp_path / "r.html", robot=robot_file)
    quiet = ["--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-sync"]
    done = subprocess.run(
        [
            str(BROWSER),
            "--headless",
            "--no-sandbox",
            *quiet,
            "--disable-component-update",
            f"--user-data-dir={tmp_path / 'profile'}",
            "--window-size=1400,4000",
            "--dump-dom",
            f"file://{tmp_path / 'r.html'}",
        ],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert 'data-ready="yes"' in done.stdout, done.stderr[-2000:]


WILD = st.one_of(st.floats(), st.sampled_from([0.0, -0.0, 1e308, -1e308, 1e-320, float("nan"), float("inf")]))


WORD = st.text(max_size=5).filter(lambda word: "n" not in word.lower())


@pytest.mark.filterwarnings("error::RuntimeWarning")
@settings(
    max_examples=20,
    phases=[Phase.explicit, Phase.reuse, Phase.generate],
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(
    values=st.lists(st.tuples(WILD, WILD, WILD, st.integers(0, 2**31 - 1)), min_size=1, max_size=30),
    # Words without an n: what was recorded as Inf may stand on the page.
    states=st.lists(st.tuples(st.sampled_from(["ACTIVE", "FALLING", "X", ""]), WORD), max_size=5),
)
def test_whatever_the_numbers_are_there_is_a_page(
    tmp_path: Path, values: list[tuple[float, float, float, int]], states: list[tuple[str, str]]
) -> None:
    shutil.rmtree(tmp_path / "bag", ignore_errors=True)
    messages = []
    for i, (a, b, c, second) in enumerate(values):
        at, stamp = START + i * SECOND // 10, second * SECOND
        messages += [
            ("/joint_states", JOINT_STATE, at, joint_states(stamp, [a, b, c, a], [c, b, a, b])),
            ("/policy/joint_effort", JOINT_STATE, at, policy_effort(stamp, [c, b, a, b], [a, b, c, a])),
            ("/joint_effort_controller/commands", ARRAY, at, command([a, b, c, a])),
            ("/imu/data", IMU, at, ImuWriter("").write(stamp, np.array([a, b, c, a]), np.full(3, b), np.full(3, c))),
            ("/odom", ODOMETRY, at, odometry(stamp, a, b)),
            ("/cmd_vel", TWIST, at, twist(c)),
        ]
    for i, (state, word) in enumerate(states):
        said = status(state, i, faults=word, text=word.replace("\0", ""), last_fault=word.replace("\0", ""))
        messages.append(("/safety/status", STATUS, START + i * SECOND, said))
    folder = write_bag(tmp_path / "bag", messages)
    report(folder, tmp_path / "r.html", json_file=tmp_path / "r.json", robot=str(biped(tmp_path)))
    json.loads((tmp_path / "r.json").read_text(), parse_constant=lambda word: pytest.fail(f"{word} is no JSON"))
    page = (tmp_path / "r.html").read_text().partition("</style>")[2].replace("numbers are NaN", "")
    assert not re.search(r"\b(nan|inf)\b", page.partition("<script>")[0].lower())
