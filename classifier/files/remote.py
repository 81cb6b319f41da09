"""Find and open inputs that a URL names, through the file systems of fsspec (extra `remote`)."""

from __future__ import annotations

import glob
import io
from typing import TYPE_CHECKING, Any, BinaryIO, Final, cast
from urllib.parse import urlsplit, urlunsplit

from classifier.errors import DependencyError, InputFileError
from classifier.files.inputs import InputFile
from classifier.files.names import format_by_name, traces_below

if TYPE_CHECKING:
    from collections.abc import Iterator

# Several columns of a Parquet file are read in turn, each at a place of its own, so that one block of cache
# would be thrown away again and again; this many also bound the memory.
_BLOCK: Final = 2 << 20
_BLOCKS: Final = 32
_LONGEST_REASON: Final = 300
_WEB: Final = ("http", "https")


class RemoteReadError(OSError):
    """Something between here and the place of a remote file went wrong while it was read."""


class RemoteFile(InputFile):
    """One input that is no local file.

    Parameters
    ----------
    system
        The fsspec file system.
    where
        The path in it.
    name, size
        As for `InputFile`.
    """

    def __init__(self, system: Any, where: str, name: str, size: int | None) -> None:
        super().__init__(name, None, *format_by_name(name), size)
        self._system = system
        self._where = where

    @property
    def identity(self) -> str:
        """Return what tells it from every other input."""
        return f"{hash(self._system)}:{self._where}"

    def read_beside(self, ending: str) -> bytes | None:
        """Read the file whose name is this one's with some ending; None where there is none."""
        try:
            return bytes(self._system.cat_file(self._where + ending))
        except FileNotFoundError:
            return None
        except Exception as error:
            raise self.unreadable(error) from error

    def unreadable(self, error: Exception, place: str = "") -> InputFileError:
        """Put an error met while reading into words."""
        if not isinstance(error, RemoteReadError):
            return super().unreadable(error, place)
        where = f" {place}" if place else ""
        return InputFileError(
            f"{self.name} cannot be read{where}: {error}. Check the address, the credentials and the network"
        )

    def _open_place(self) -> BinaryIO:
        try:
            file = self._system.open(
                self._where,
                "rb",
                block_size=_BLOCK,
                cache_type="blockcache",
                cache_options={"maxblocks": _BLOCKS},
            )
        except Exception as error:
            raise RemoteReadError(_reason(error)) from error
        return cast(BinaryIO, io.BufferedReader(_RemoteStream(file)))


class _RemoteStream(io.RawIOBase):
    """A file of fsspec, whose every error is a `RemoteReadError`: each file system has others."""

    def __init__(self, file: Any) -> None:
        self._file = file

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return bool(self._file.seekable())

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        return int(self._file.seek(offset, whence))

    def tell(self) -> int:
        return int(self._file.tell())

    def readinto(self, buffer: Any) -> int:
        view = memoryview(buffer)
        try:
            data = self._file.read(len(view))
        except Exception as error:
            raise RemoteReadError(_reason(error)) from error
        view[: len(data)] = data
        return len(data)

    def close(self) -> None:
        if not self.closed:
            self._file.close()
        super().close()


def find_remote(url: str) -> list[InputFile]:
    """Find the files that a URL, which may be a folder or a pattern, stands for.

    Parameters
    ----------
    url
        Such as s3://bucket/traces/*.jsonl.gz.

    Returns
    -------
    list[InputFile]
        At least one file.

    Raises
    ------
    InputFileError
        If there is none, it cannot be reached, or it is of an unknown ending.
    DependencyError
        If a package is missing that reads such URLs.
    """
    system, where = _file_system(url)
    try:
        # What an earlier call of this process listed may have changed.
        system.invalidate_cache()
        return list(_expand(system, where, url))
    except InputFileError:
        raise
    except Exception as error:
        raise InputFileError(
            f"{url} cannot be read: {_reason(error)}. Check the address, the credentials and the network"
        ) from error


def _file_system(url: str) -> tuple[Any, str]:
    protocol = url.split("://", 1)[0]
    needed = f"Reading {protocol}:// needs"
    try:
        from fsspec.core import url_to_fs
    except ModuleNotFoundError as error:
        raise DependencyError(
            f"{needed} the package {error.name}: pip install 'branching-classifier[remote]'"
        ) from error
    try:
        return cast("tuple[Any, str]", url_to_fs(url))
    except ImportError as error:
        raise DependencyError(
            f"{needed} a package that is not installed ({_reason(error)}): pip install "
            "'branching-classifier[remote]' for s3:// and hf://, and gcsfs for gs://"
        ) from error
    except ValueError as error:
        raise InputFileError(
            f"{url} cannot be read: {_reason(error)}. Expected a path, or a URL such as s3://bucket/name"
        ) from error


def _expand(system: Any, where: str, url: str) -> Iterator[InputFile]:
    try:
        found = {where: system.info(where)}
    except FileNotFoundError:
        found = system.glob(where, detail=True) if glob.has_magic(where) else {}
        if not where.rsplit("/", 1)[-1].startswith("."):
            # As with local files, a star does not stand for a dot at the beginning.
            found = {path: found[path] for path in found if not path.rsplit("/", 1)[-1].startswith(".")}
        if not found:
            what = f"No object matches {url}" if glob.has_magic(where) else f"{url} does not exist"
            raise InputFileError(f"{what}: check the address") from None
    for path in sorted(found):
        if found[path]["type"] == "directory":
            yield from _in_folder(system, path)
        else:
            yield RemoteFile(system, path, _name(system, path), found[path].get("size"))


def _in_folder(system: Any, folder: str) -> Iterator[InputFile]:
    below = folder.rstrip("/") + "/"
    found = {path.removeprefix(below): info for path, info in system.find(folder, detail=True).items()}
    names = traces_below(_name(system, folder), found, lambda name: bytes(system.cat_file(below + name)))
    for name in names:
        yield RemoteFile(system, below + name, _name(system, below + name), found[name].get("size"))


def _name(system: Any, path: str) -> str:
    """Return the URL of a path, to be shown and kept: without what may be a password or a signature in it."""
    url = str(system.unstrip_protocol(path))
    parts = urlsplit(url)
    if parts.scheme not in _WEB:
        # Other file systems keep those apart from the path, and names of objects may hold any sign.
        return url
    return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, "", ""))


def _reason(error: Exception) -> str:
    first = (str(error) or type(error).__name__).strip().splitlines()[0]
    return first[:_LONGEST_REASON].rstrip(".")
