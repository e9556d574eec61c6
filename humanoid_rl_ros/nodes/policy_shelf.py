"""The policies a node can change to, each loaded beside the one that runs."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Iterable
from pathlib import Path

from humanoid_rl_ros.behaviours.walk import PolicyBehaviour
from humanoid_rl_ros.core.errors import ConfigError, HumanoidError, PolicyError, did_you_mean

Load = Callable[[str], PolicyBehaviour]


def shelf_name(bundle: str) -> str:
    """What a bundle is called in the name of a service: its folder's name, in the letters that ROS allows.

    Args:
        bundle: name of a shipped bundle, or a folder.

    Raises:
        ConfigError: nothing is left of it.
    """
    name = re.sub(r"\W", "_", Path(bundle).expanduser().resolve().name, flags=re.ASCII)
    if not name.strip("_"):
        raise ConfigError(f"no policy can be called by '{bundle}'")
    return f"_{name}" if name[0].isdigit() else name


class PolicyShelf:
    """Behaviours by their short names.

    Args:
        load: makes a behaviour of a bundle's name; called in a thread of its own for `fetch`.
    """

    def __init__(self, load: Load) -> None:
        self._load = load
        self._ready: dict[str, PolicyBehaviour] = {}
        self._refused: dict[str, str] = {}
        self._wanted: dict[str, str] = {}
        self._turn = threading.Lock()

    @property
    def names(self) -> tuple[str, ...]:
        """Short names, loaded or not."""
        return tuple(self._wanted)

    def add(self, bundle: str) -> PolicyBehaviour:
        """Load one now.

        Raises:
            HumanoidError: it cannot be loaded, or its short name is taken.
        """
        (name,) = self._short_names([bundle])
        if name in self._wanted:
            raise ConfigError(f"policies '{self._wanted[name]}' and '{bundle}' have the same name")
        behaviour = self._load(bundle)
        self._ready[name], self._wanted[name] = behaviour, bundle
        return behaviour

    def fetch(self, bundles: Iterable[str], *, keep: PolicyBehaviour) -> threading.Thread:
        """Have these, loaded anew in the background, instead of all that were there.

        Args:
            bundles: names or folders.
            keep: stays as it is, for it is running.

        Returns:
            The thread that loads them.

        Raises:
            ConfigError: two have the same name; nothing has changed then.
        """
        wanted = self._short_names(bundles)
        kept = next((name for name, behaviour in self._ready.items() if behaviour is keep), None)
        if kept is not None:
            wanted = {kept: self._wanted[kept], **wanted}
        self._ready = {} if kept is None else {kept: keep}
        self._refused, self._wanted = {}, wanted
        missing = [(name, bundle) for name, bundle in wanted.items() if name != kept]
        thread = threading.Thread(target=self._fetch, args=(missing, wanted), name="policy loader", daemon=True)
        thread.start()
        return thread

    def _fetch(self, missing: list[tuple[str, str]], wanted: dict[str, str]) -> None:
        with self._turn:
            for name, bundle in missing:
                if self._wanted is not wanted:
                    return  # others are wanted by now
                try:
                    self._ready[name] = self._load(bundle)
                except HumanoidError as error:
                    self._refused[name] = str(error)
                except Exception as error:  # whatever a file can do to a library must not end the loading of the next
                    self._refused[name] = f"{type(error).__name__}: {error}"

    def take(self, name: str) -> PolicyBehaviour:
        """The behaviour of that short name.

        Raises:
            PolicyError: it could not be loaded, and why; it is still being loaded; or there is none.
        """
        if name in self._ready:
            return self._ready[name]
        if name in self._refused:
            raise PolicyError(self._refused[name])
        if name in self._wanted:
            raise PolicyError(f"'{self._wanted[name]}' is still being loaded")
        raise PolicyError(f"no policy '{name}'; {did_you_mean(name, self._wanted)}")

    @staticmethod
    def _short_names(bundles: Iterable[str]) -> dict[str, str]:
        wanted: dict[str, str] = {}
        for bundle in bundles:
            name = shelf_name(bundle)
            if wanted.setdefault(name, bundle) != bundle:
                raise ConfigError(f"policies '{wanted[name]}' and '{bundle}' have the same name")
        return wanted
