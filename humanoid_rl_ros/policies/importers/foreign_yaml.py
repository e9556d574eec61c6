"""YAML and JSON of other projects: read without running anything, whatever tags they carry."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from humanoid_rl_ros.core.config import UniqueKeyLoader, parse_yaml
from humanoid_rl_ros.core.errors import ConfigError


class _ForeignLoader(UniqueKeyLoader):
    """The safe loader that refuses a key written twice, and two tags that PyYAML's own dump writes for plain data."""

    def tuple_as_list(self, node: yaml.Node) -> list[Any]:
        if not isinstance(node, yaml.SequenceNode):
            raise ConfigError(f"a tuple that is no sequence (line {node.start_mark.line + 1})")
        return self.construct_sequence(node, deep=True)

    def whole_slice(self, node: yaml.Node) -> None:
        """``slice(None)``: all of them; read as null."""
        values = self.construct_sequence(node, deep=True) if isinstance(node, yaml.SequenceNode) else [0]
        if any(value is not None for value in values):
            raise ConfigError(f"a slice of {values}: only the whole is understood (line {node.start_mark.line + 1})")

    def refuse(self, node: yaml.Node) -> None:
        raise ConfigError(f"tag '{node.tag}' asks to run code; not read (line {node.start_mark.line + 1})")


_ForeignLoader.add_constructor("tag:yaml.org,2002:python/tuple", _ForeignLoader.tuple_as_list)
_ForeignLoader.add_constructor("tag:yaml.org,2002:python/object/apply:builtins.slice", _ForeignLoader.whole_slice)
_ForeignLoader.add_constructor(None, _ForeignLoader.refuse)


def read_foreign_yaml(path: Path) -> Mapping[str, Any]:
    """Read a mapping; JSON is YAML too.

    Args:
        path: the file.

    Returns:
        Mappings with text keys, lists, texts, numbers, true, false and null; tuples as lists.

    Raises:
        ConfigError: the file is missing, is not YAML, is no mapping, expands beyond all measure, or carries a tag that
            asks for anything but plain data.
    """
    data = parse_yaml(path, _ForeignLoader)
    if not isinstance(data, Mapping):
        found = "nothing" if data is None else f"a {type(data).__name__}"
        raise ConfigError(f"{path}: expected a mapping at the top, found {found}")
    return {str(key): value for key, value in data.items()}
