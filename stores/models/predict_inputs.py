"""Which files are meant by what somebody names: files, folders with all below them, patterns; and names for results.

No torch.
"""

from __future__ import annotations

import os
import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePath

from stores.progress import say
from wilss.data.image_names import IMAGE_SUFFIXES, composed
from wilss.errors import DataNotFoundError, SpecError
from wilss.outputs import file_names, safe_name

READABLE = (*IMAGE_SUFFIXES, ".gif")
VIDEOS = (".mp4", ".m4v", ".mov", ".mkv", ".webm", ".avi", ".mpg", ".mpeg", ".ts")
MAGIC = re.compile(r"[*?\[]")
TOLD = 5
Stamp = tuple[int, int]


def stamp_of(path: Path) -> Stamp | None:
    """Size and time of change of a file, others once it was changed; None where there is none."""
    try:
        facts = path.stat()
    except FileNotFoundError:
        return None
    return facts.st_size, facts.st_mtime_ns


@dataclass(frozen=True)
class Input:
    """An image or video that is to be segmented.

    path: as it was named. under: folder of its results below the one for all, and its name, without suffix.
    """

    path: Path
    under: PurePath

    @property
    def is_video(self) -> bool:
        """By its suffix."""
        return self.path.suffix.lower() in VIDEOS

    @property
    def place(self) -> str:
        """Where the file is, whatever it was named by."""
        return str(self.path.resolve())

    @property
    def stamp(self) -> Stamp | None:
        """See `stamp_of`."""
        return stamp_of(self.path)


def find_inputs(named: Sequence[Path], results: Collection[Path] = (), out: Path | None = None) -> list[Input]:
    """The files that are meant, each once, in the order in which they are named.

    A folder stands for the images in it and in its folders, but for hidden ones; links are followed, each folder is
    met once. A pattern (``*``, ``?``, ``[...]``; ``**`` for any folders) stands for the images and videos it fits.

    Args:
        results: files that an earlier call has written, which no folder and no pattern means.
        out: where results go; nor do they mean what lies in there.

    Raises SpecError where nothing is meant, DataNotFoundError for what is not there.
    """
    written = _Written(frozenset(path.resolve() for path in results), out.resolve() if out is not None else None)
    found: dict[Path, Input] = {}
    for path in named:
        for one in _meant(path, written):
            found.setdefault(one.path.resolve(), one)
    if not found:
        raise SpecError("no image given; name at least one image file, or a folder of some, after the model")
    return list(found.values())


@dataclass(frozen=True)
class _Written:
    """What is never found in a folder: known results, and what lies where results go, if that is below it."""

    results: frozenset[Path]
    out: Path | None

    def below(self, base: Path) -> list[Path]:
        """Files below a folder that may be meant."""
        place = base.resolve()
        out = self.out if self.out is not None and place in self.out.parents else None
        whole = ((path, path.resolve()) for path in files_below(base))
        return [path for path, real in whole if real not in self.results and not (out and out in real.parents)]


def _meant(path: Path, written: _Written) -> Iterable[Input]:
    if path.is_dir():
        return _inside(path, written)
    if path.is_file():
        return [Input(path, PurePath(path.stem))]
    if MAGIC.search(str(path)):
        return _fitting(path, written)
    problem = "is a link to a file that does not exist" if path.is_symlink() else "does not exist"
    raise DataNotFoundError(f"'{path}' {problem}; name image files, or folders that hold some")


def _inside(folder: Path, written: _Written) -> list[Input]:
    """The images of a folder and of those below it; what is passed over is said."""
    files = written.below(folder)
    images = [path for path in files if path.suffix.lower() in READABLE and not path.name.startswith(".")]
    if not images:
        raise SpecError(f"'{folder}' holds no image ({', '.join(READABLE)}); name another folder, or image files")
    others = [path for path in files if path not in set(images)]
    videos = [path for path in others if path.suffix.lower() in VIDEOS and not path.name.startswith(".")]
    _say_passed(folder, [path for path in others if path not in set(videos)], "that are no images")
    _say_passed(folder, videos, "that are videos; name them to have them labelled")
    return [Input(path, path.relative_to(folder).with_suffix("")) for path in images]


def _fitting(pattern: Path, written: _Written) -> list[Input]:
    """Images and videos that a pattern fits; their results keep the folders that it leaves open."""
    parts = pattern.parts
    fixed = next(k for k, part in enumerate(parts) if MAGIC.search(part))
    base, fits = Path(*parts[:fixed]), _expression(parts[fixed:])
    if not base.is_dir():
        raise DataNotFoundError(f"'{pattern}' fits nothing, as there is no folder '{base}'; name another")
    fitting = [path for path in written.below(base) if fits.fullmatch(path.relative_to(base).as_posix())]
    found = [path for path in fitting if path.suffix.lower() in (*READABLE, *VIDEOS)]
    if not found:
        raise DataNotFoundError(
            f"'{pattern}' fits no image and no video; look at the folder '{base}', or write the pattern in quotes"
        )
    _say_passed(pattern, [path for path in fitting if path not in set(found)], "that are no images")
    return [Input(path, path.relative_to(base).with_suffix("")) for path in found]


def _expression(parts: Sequence[str]) -> re.Pattern[str]:
    """Pattern of a path's parts: ``**`` any folders that are not hidden, the others as a shell reads them."""
    words = []
    for number, part in enumerate(parts):
        last = number == len(parts) - 1
        if part == "**":
            words.append(r"(?:[^/.][^/]*/)*" + (r"[^/.][^/]*" if last else ""))
        else:
            hidden = "" if part.startswith(".") else r"(?!\.)"
            words.append(hidden + _part(part) + ("" if last else "/"))
    try:
        return re.compile("".join(words))
    except re.error as error:
        said = f"'{'/'.join(parts)}' is no pattern ({error.msg})"
        raise SpecError(f"{said}; write one like 'photos/[a-z]*.jpg'") from error


def _part(part: str) -> str:
    found = re.split(r"(\*|\?|\[!?[^\]]+\])", part)
    as_pattern = {"*": "[^/]*", "?": "[^/]"}
    return "".join(
        as_pattern.get(word)
        or (
            f"[{'^' if word[1] == '!' else ''}{_of_set(word)}]"
            if word.startswith("[") and len(word) > 2 and word != "[!]"
            else re.escape(word)
        )
        for word in found
    )


def _of_set(word: str) -> str:
    inner = word[2:-1] if word[1] == "!" else word[1:-1]
    return re.sub(r"([\\^\[\]&~|])", r"\\\1", inner)


def files_below(folder: Path) -> Iterator[Path]:
    """Files of a folder and of those below it that are not hidden, in order; links are followed, once."""
    met = set[tuple[int, int]]()
    for place, folders, files in os.walk(folder, followlinks=True):
        try:
            facts = Path(place).stat()
        except OSError:  # somebody else's
            folders.clear()
            continue
        if (facts.st_dev, facts.st_ino) in met:
            folders.clear()
            continue
        met.add((facts.st_dev, facts.st_ino))
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        yield from (Path(place, name) for name in sorted(files) if Path(place, name).is_file())


def _say_passed(where: Path, passed: Sequence[Path], what: str) -> None:
    if passed:
        more = ", ..." if len(passed) > TOLD else ""
        shown = ", ".join(path.name for path in passed[:TOLD])
        say(f"passed over {len(passed)} files of '{where}' {what}: {shown}{more}")


def result_names(inputs: Sequence[Input], endings: Sequence[str], known: Mapping[str, str]) -> list[str]:
    """Name of each input's results below their folder, without suffix; no two have one, on any file system.

    Args:
        endings: of the files of a result. known: names that inputs have from before, by `Input.place`, kept by them.
    """
    named = {one.place: one for one in inputs}
    folders = {place: _folder(one.under.parent) for place, one in named.items()}
    taken = [(str(PurePath(name).parent), PurePath(name).name) for name in known.values()]
    groups: dict[str, list[tuple[str | None, str]]] = {}
    for folder, name in taken:
        groups.setdefault(_same(folder), []).append((None, name))
    for place, one in named.items():
        if place not in known:
            groups.setdefault(_same(folders[place]), []).append((place, one.under.name))
    chosen = dict(known)
    for members in groups.values():
        names = file_names([name for _, name in members], endings)
        chosen |= {
            place: (PurePath(folders[place]) / name).as_posix()
            for (place, _), name in zip(members, names, strict=True)
            if place is not None
        }
    return [chosen[one.place] for one in inputs]


def _folder(under: PurePath) -> str:
    """Folder of results below that for all: parts that cannot leave it."""
    return PurePath(*(safe_name(part) for part in under.parts)).as_posix()


def _same(folder: str) -> str:
    return composed(folder).casefold()
