"""Finds the files of a bag and opens each as what it is."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory

from humanoid_rl_ros.bags import mcap_records, mcap_storage, sqlite_storage
from humanoid_rl_ros.bags.bag_message import Storage
from humanoid_rl_ros.bags.bag_metadata import FILE_NAME, BagMetadata, read_metadata
from humanoid_rl_ros.bags.compression import ZSTD_MAGIC, unpack_file
from humanoid_rl_ros.core.errors import BagError

SUFFIXES = (".mcap", ".db3", ".mcap.zstd", ".db3.zstd")
ROS1_MAGIC = b"#ROSBAG V"


def find_files(path: Path, problems: list[str]) -> tuple[list[Path], BagMetadata | None]:
    """The files of a bag, in order, and what its metadata says.

    Args:
        path: a folder or one file.
        problems: gets what is wrong and can be read past.

    Raises:
        BagError: there is no bag.
    """
    try:
        if path.is_file():
            return [path], None
        if not path.exists():
            raise BagError(f"{path}: no such file or folder")
        there = {file.name: file for file in sorted(path.iterdir()) if file.is_file()}
    except OSError as error:
        raise BagError(f"{path}: cannot be read: {error.strerror}") from None
    found = [name for name in there if name.endswith(SUFFIXES)]
    metadata = _metadata(there, problems)
    if metadata is not None:
        for name in metadata.files:
            if name not in there:
                problems.append(f"{name} is missing: {FILE_NAME} names it, and its messages are not here")
        for name in found:
            if name not in metadata.files:
                problems.append(f"{name} is not in {FILE_NAME}; its messages are read too")
        found = [name for name in metadata.files if name in there] + [n for n in found if n not in metadata.files]
    if not found:
        ros1 = next((name for name in there if name.endswith(".bag")), None)
        if ros1 is not None:
            refuse_ros1(there[ros1])
        missing = f" ({'; '.join(problems)})" if metadata is not None and problems else ""
        raise BagError(f"{path}: is no bag: it holds no .mcap and no .db3 file{missing}")
    return [there[name] for name in found], metadata


def _metadata(there: dict[str, Path], problems: list[str]) -> BagMetadata | None:
    if FILE_NAME not in there:
        problems.append(f"{FILE_NAME} is missing: the recording was not ended; what it says was counted from the files")
        return None
    try:
        return read_metadata(there[FILE_NAME])
    except BagError as error:
        problems.append(f"{FILE_NAME} {error}; what it says was counted from the files")
        return None


def refuse_ros1(path: Path) -> None:
    """Say what to do about a bag of ROS 1.

    Raises:
        BagError: always.
    """
    raise BagError(f"{path}: is a bag of ROS 1; convert it first: rosbags-convert --src {path.name} --dst FOLDER")


def open_storage(path: Path, stack: ExitStack, problems: list[str]) -> Storage:
    """Open a file by what it holds, whatever its name.

    Args:
        path: the file.
        stack: lets go of it.
        problems: gets what is wrong and can be read past.

    Raises:
        BagError: it is no file of a bag, or nothing of it can be read.
    """
    try:
        magic = _magic(path)
        if not magic:
            raise BagError("is empty (0 bytes): the recorder ended before it wrote anything")
        if magic.startswith(ROS1_MAGIC):
            refuse_ros1(path)
        storage = _open_plain(_unpacked(path, stack, problems) if magic.startswith(ZSTD_MAGIC) else path)
    except OSError as error:
        raise BagError(f"{path}: cannot be read: {error.strerror}") from None
    except BagError as error:
        raise BagError(str(error) if str(error).startswith(f"{path}: ") else f"{path}: {error}") from None
    stack.callback(storage.close)
    return storage


def _magic(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(16)


def _unpacked(path: Path, stack: ExitStack, problems: list[str]) -> Path:
    """A copy of a compressed file, as far as that can be unpacked."""
    unpacked = Path(stack.enter_context(TemporaryDirectory())) / path.with_suffix("").name
    wrong = unpack_file(path, unpacked)
    if wrong:
        problems.append(f"{path.name} {wrong}")
    if not unpacked.stat().st_size:
        raise BagError(wrong or "is empty")
    return unpacked


def _open_plain(path: Path) -> Storage:
    magic = _magic(path)
    if magic.startswith(mcap_records.MAGIC):
        return mcap_storage.McapStorage(path)
    if magic == sqlite_storage.MAGIC:
        return sqlite_storage.SqliteStorage(path)
    raise BagError("is no bag: neither MCAP nor sqlite3")
