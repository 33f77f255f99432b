"""Folders and files that results are written to."""

from __future__ import annotations

import errno
import hashlib
import os
import re
import shutil
import tempfile
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4

from safetensors import SafetensorError

from wilss.errors import SpecError, StorageError
from wilss.escapes import harmless

LONGEST = 200
"""Bytes of a file's name before what is added to it; file systems take 255."""
PICTURES = (".png", ".jpg", ".jpeg")
NO_SPACE = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
REFUSED = (errno.EACCES, errno.EPERM, errno.EROFS)


def writable_folder(folder: Path) -> Path:
    """Make a folder, with those above it, unless it is there; returns it.

    Raises SpecError where a file is in the way or nothing may be written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        tempfile.TemporaryFile(dir=folder).close()
    except OSError as error:
        raise SpecError(f"'{folder}' cannot be written to ({error.strerror}); choose another folder") from error
    return folder


def require_room(folder: Path, size: int) -> None:
    """Raise StorageError where less than ``size`` bytes are free."""
    if (free := shutil.disk_usage(folder).free) < size:
        raise StorageError(
            f"'{folder}' lies on a disk with {free / 1e6:.1f} MB free, a run needs {size / 1e6:.0f} MB to begin; make "
            "room, or choose another root"
        )


@contextmanager
def whole_file(path: Path, shared: bool = False) -> Iterator[Path]:
    """A path to write to, which takes the place of ``path`` when the block ends well: readers never meet half a file.

    It is on the disk before it does. Raises StorageError where the disk takes no more.

    Args:
        shared: other processes may write the same file at this moment, so each has a path of its own. Otherwise what a
            killed process left is written over.
    """
    partial = path.with_name(f"{path.name}.{uuid4().hex}.partial" if shared else f"{path.name}.partial")
    others = partial.is_dir()
    with writing(path):
        try:
            yield partial
            for inside in partial.rglob("*"):  # of a folder
                flush(inside)
            flush(partial)
            partial.replace(path)
            flush(path.parent)
        except BaseException:
            if partial.is_dir() and not others:
                shutil.rmtree(partial, ignore_errors=True)
            else:
                partial.unlink(missing_ok=True)
            raise


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """A disk that takes no more while the block writes to ``path``, or below it, becomes a StorageError."""
    try:
        yield
    except StorageError:
        raise
    except (OSError, SafetensorError) as error:
        if said := disk_problem(error, path):
            raise StorageError(said) from error
        raise


def disk_problem(error: Exception, path: Path | None = None) -> str:
    """One sentence on an error that comes from the disk, "" for another one.

    Args:
        path: that was written to, where the error does not name one itself.
    """
    number = error.errno if isinstance(error, OSError) else _number_in(str(error))
    named = getattr(error, "filename", None) or path or "a file"
    if number in NO_SPACE:
        return f"'{named}' cannot be written ({os.strerror(number)}); make room, and the same command goes on"
    if number in REFUSED:
        return f"'{named}' cannot be used ({os.strerror(number)}); change its rights, or choose another folder"
    if number == errno.EISDIR:
        return f"'{path or named}' is a folder where a file is to be written; move it away, or choose another name"
    return ""


def flush(path: Path) -> None:
    """Have a file, or the names in a folder, on the disk before this returns."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    except OSError as error:
        if error.errno != errno.EINVAL:  # a file system that does not flush folders
            raise
    finally:
        os.close(handle)


def empty(folder: Path) -> None:
    """Remove everything in a folder."""
    for path in folder.iterdir():
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink()


def _number_in(text: str) -> int:
    """The number of the system's error in a message of safetensors, which tells it no other way; 0 for none."""
    found = re.search(r"(?:\(os error |Os \{ code: )(\d+)", text)  # the second in older ones
    return int(found[1]) if found else 0


def file_names(image_ids: Sequence[str], endings: Sequence[str] = ("",)) -> list[str]:
    """A file name for each image; those whose files would overwrite each other, on any file system, get a number.

    Args:
        endings: of the files that an image has, such as "" and "-overlay": then "a" and "a-overlay" share one.
    """
    names, taken, counted = [], set[str](), dict[str, int]()
    for name in map(safe_name, image_ids):
        chosen = name
        while not taken.isdisjoint(files := {_same_file(chosen + ending) for ending in endings}):
            counted[name] = counted.get(name, 1) + 1
            chosen = f"{name}-{counted[name]}"
        taken |= files
        names.append(chosen)
    return names


def safe_name(image_id: str) -> str:
    """A file name for an image id: as it is, but one that cannot leave its folder, hide, or be too long."""
    name = "".join("_" if c in "/\n\t" or harmless(c) != c else c for c in image_id).lstrip(".") or "_"
    if len(name.encode()) <= LONGEST:
        return name
    mark = hashlib.sha256(name.encode()).hexdigest()[:8]
    return f"{name.encode()[: LONGEST - 9].decode(errors='ignore')}-{mark}"


def _same_file(name: str) -> str:
    """What names of one file have in common where case or the composition of letters does not count."""
    return unicodedata.normalize("NFC", name).casefold()


def require_free(paths: Iterable[Path], replace: bool, inputs: Iterable[Path] = ()) -> None:
    """Raise SpecError for results that would replace something.

    Args:
        paths: to be written. replace: what is there may be replaced, but never an input.
    """
    there = [path for path in paths if os.path.lexists(path)]
    read = {path.resolve() for path in inputs} if there else set()
    for path in there:
        if path.resolve() in read:
            raise SpecError(f"'{path}' is one of the images and would be replaced by its result; choose another folder")
    if there and not replace:
        more = f", and {len(there) - 1} more are" if len(there) > 1 else ""
        raise SpecError(f"'{there[0]}' is there already{more}; choose another place, or add --replace")


def picture_path(out: Path | None, default: Path) -> Path:
    """Where a picture is written: the path that is asked for, which may be a folder or a name without suffix.

    Args:
        default: taken when nothing is asked for; its name is that of a picture in a folder.

    Raises SpecError for a suffix that is none of `PICTURES`, before anything is computed.
    """
    if out is None:
        return default
    if out.is_dir():
        return out / default.name
    if not out.suffix:
        return out.with_name(f"{out.name}.png")
    if out.suffix.lower() not in PICTURES:
        raise SpecError(
            f"'{out}' ends in {out.suffix}, and pictures are written as {', '.join(PICTURES)}; choose one of them, or "
            "leave the suffix out"
        )
    return out
