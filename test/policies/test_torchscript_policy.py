"""TorchScript networks: state in buffers, and archives that are something else."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from humanoid_rl_ros.core.errors import PolicyError

torch = pytest.importorskip("torch", reason="torch reads TorchScript")
pytestmark = [pytest.mark.filterwarnings("ignore:`torch.jit:DeprecationWarning")]

Refuses = Callable[..., AbstractContextManager[None]]


class Sum(torch.nn.Module):  # type: ignore[misc]  # torch is optional here
    """action = (sum, mean) of the observation."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.stack([x.sum(), x.mean()]).unsqueeze(0)


class InPlace(torch.nn.Module):  # type: ignore[misc]
    """Counts its calls in a buffer it writes into, as LSTM exports do; a normaliser's mean is a buffer too."""

    def __init__(self, stored: float = 0.0) -> None:
        super().__init__()
        self.register_buffer("count", torch.full((1, 2), stored))
        self.register_buffer("mean", torch.full((1, 1), 10.0))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.count[:] = self.count + 1.0
        return self.count + self.mean


class Assigned(InPlace):
    """The same with a buffer that is replaced."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.count = self.count + 1.0
        return self.count + self.mean


class WithReset(InPlace):
    """The same with a reset of its own."""

    @torch.jit.export
    def reset_memory(self) -> None:
        self.count[:] = 0.0


class Pair(torch.nn.Module):  # type: ignore[misc]
    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        return x, x


class Double(torch.nn.Module):  # type: ignore[misc]
    def __init__(self) -> None:
        super().__init__()
        self.layer = torch.nn.Linear(3, 2).double()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.layer(x)


class Malicious:
    def __init__(self, victim: Path) -> None:
        self.victim = victim

    def __reduce__(self) -> tuple[Any, ...]:
        return (Path.touch, (self.victim,))


def _save(module: Any, path: Path) -> Path:
    torch.jit.script(module).save(str(path))
    return path


def _load(path: Path, observation_size: int = 3, action_size: int = 2) -> Any:
    from humanoid_rl_ros.policies.torchscript_policy import TorchScriptPolicy

    return TorchScriptPolicy(path, observation_size=observation_size, action_size=action_size)


OBSERVATION = np.array([1.0, 2.0, 6.0], dtype=np.float32)


def test_a_network_runs(tmp_path: Path) -> None:
    action = _load(_save(Sum(), tmp_path / "a.pt")).infer(OBSERVATION)
    assert (action.tolist(), action.dtype, action.shape) == ([9.0, 3.0], np.float32, (2,))


@pytest.mark.parametrize("module", [InPlace, Assigned, WithReset])
def test_state_in_buffers_is_carried_and_cleared(module: type[InPlace], tmp_path: Path) -> None:
    policy = _load(_save(module(), tmp_path / "a.pt"))
    assert [policy.infer(OBSERVATION)[0] for _ in range(3)] == [11.0, 12.0, 13.0]
    policy.reset()
    assert policy.infer(OBSERVATION)[0] == 11.0


def test_state_of_whatever_ran_before_it_was_saved_is_forgotten(tmp_path: Path) -> None:
    policy = _load(_save(InPlace(stored=5.0), tmp_path / "a.pt"))
    assert policy.infer(OBSERVATION)[0] == 11.0  # and the normaliser's mean, which no call changes, stays


def test_a_batch_is_answered_row_by_row_and_of_a_recurrent_network_refused(tmp_path: Path, refuses: Refuses) -> None:
    rows = np.array([[1.0, 2.0, 6.0], [0.0, 0.0, 3.0]], dtype=np.float32)
    assert _load(_save(Sum(), tmp_path / "a.pt")).infer_batch(rows).tolist() == [[9.0, 3.0], [3.0, 1.0]]
    for module in (InPlace(), WithReset()):
        with refuses(PolicyError, "b.pt", "recurrent"):
            _load(_save(module, tmp_path / "b.pt")).infer_batch(rows)


def test_a_reset_of_its_own_has_the_last_word(tmp_path: Path) -> None:
    policy = _load(_save(WithReset(stored=5.0), tmp_path / "a.pt"))  # exported after a run
    policy.reset()
    assert policy.infer(OBSERVATION)[0] == 11.0


def test_an_action_stays_when_the_next_is_computed(tmp_path: Path) -> None:
    policy = _load(_save(InPlace(), tmp_path / "a.pt"))
    first = policy.infer(OBSERVATION)
    policy.infer(OBSERVATION)
    assert first[0] == 11.0


def test_a_bundle_loads_it(tmp_path: Path, bundle_data: dict[str, Any], write_bundle: Callable[[object], Path]) -> None:
    from humanoid_rl_ros.policies.bundle_file import load_bundle

    _save(Sum(), tmp_path / "policy.pt")
    bundle_data["weights"] = {"file": "policy.pt"}
    assert load_bundle(write_bundle(bundle_data)).load_network().infer(np.ones(17, dtype=np.float32)).tolist() == [
        17.0,
        1.0,
    ]


@pytest.mark.parametrize("saved", ["pickle", "torch.save"])
def test_a_pickle_is_refused_and_not_run(saved: str, tmp_path: Path, refuses: Refuses) -> None:
    victim, path = tmp_path / "run", tmp_path / "a.pt"
    if saved == "pickle":
        path.write_bytes(pickle.dumps(Malicious(victim)))
    else:
        torch.save(Malicious(victim), path)
    with refuses(PolicyError, str(path), "not a TorchScript archive"):
        _load(path)
    assert not victim.exists()


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 broken", None])
def test_a_broken_archive_is_refused(content: bytes | None, tmp_path: Path, refuses: Refuses) -> None:
    path = _save(Sum(), tmp_path / "a.pt")
    path.write_bytes(path.read_bytes()[:200] if content is None else content)
    with refuses(PolicyError, str(path), "not a TorchScript archive"):
        _load(path)


def test_a_missing_file_is_refused(tmp_path: Path, refuses: Refuses) -> None:
    with refuses(PolicyError, str(tmp_path / "absent.pt")):
        _load(tmp_path / "absent.pt")


@pytest.mark.parametrize(
    ("module", "sizes", "words"),
    [
        (Sum, (3, 5), ["2 numbers", "5 joints"]),
        (Pair, (3, 3), ["a tuple", "3 joints"]),
        (Double, (3, 2), ["inference failed"]),
        (lambda: torch.nn.Linear(4, 2), (3, 2), ["inference failed"]),
    ],
)
def test_what_does_not_fit_is_refused(
    module: Callable[[], Any], sizes: tuple[int, int], words: list[str], tmp_path: Path, refuses: Refuses
) -> None:
    path = _save(module(), tmp_path / "a.pt")
    with refuses(PolicyError, str(path), *words):
        _load(path, *sizes)
