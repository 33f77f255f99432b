"""Videos: frames are decoded, labelled and written into another video, one batch after the other. Needs PyAV."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from fractions import Fraction
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from stores.models.predict_line import Line
from stores.models.predict_options import PredictOptions
from stores.models.predict_write import count_pixels, drawn_over
from wilss.data.palette import Colour
from wilss.data.voc import save_palette_png
from wilss.errors import DataError, SpecError
from wilss.outputs import whole_file, writing
from wilss.progress import Progress

READ = {"protocol_whitelist": "file", "format_whitelist": "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,avi,mpeg,mpegts"}
"""Lists of files and addresses are none of these: a video opens nothing but itself."""
CODECS = ("libx264", "mpeg4")
MOST_SIDE = 8192


@dataclass
class VideoFacts:
    """Of a labelled video. size: width and height, upright. pixels: class id -> pixels of all labelled frames."""

    size: tuple[int, int] = (0, 0)
    frames: int = 0
    pixels: dict[int, int] = field(default_factory=dict)


@dataclass(frozen=True)
class _Frame:
    """image: uint8 ``(3, H, W)``, upright. at: when it is shown, in seconds. number: in the video, from 0."""

    image: Tensor
    at: Fraction
    number: int


def require_video(options: PredictOptions) -> None:
    """Raise SpecError where videos cannot be read, or not be written as asked."""
    if find_spec("av") is None:
        raise SpecError(
            "videos are read with PyAV, which is not installed; install it with: pip install 'wilss[video]'"
        )
    if options.format == "coco" or not options.overlay:
        raise SpecError(
            "a video becomes a video with overlays; leave out --format coco and --no-overlay, and have masks of its "
            "frames with --frame-masks"
        )


def label_video(
    path: Path,
    target: Path,
    labels_of: Callable[[Sequence[Tensor]], Sequence[Tensor]],
    batch: int,
    every: int,
    masks: Path | None,
    colours: Mapping[int, Colour],
    progress: Progress,
) -> VideoFacts:
    """Write a video of every nth frame with the colours of its classes; the sound is left out.

    Args:
        labels_of: class ids of frames. masks: a folder for palette PNGs ``NUMBER.png`` of these frames, made anew.

    Raises DataError for a file that cannot be decoded; then there is no result.
    """
    staged = masks.with_name(f"{masks.name}.partial") if masks else None
    facts = VideoFacts()
    with _staged(staged), whole_file(target) as partial, _reading(path) as source, _Encoder(partial) as encoder:
        rate, total = _rate(source, every), source.streams.video[0].frames // every

        def write(frame: _Frame, image: Tensor, labels: Tensor) -> int:
            encoder.add(drawn_over(image, labels, colours), frame.at, rate)
            if staged:
                save_palette_png(labels, staged / f"{frame.number:06d}.png", colours)
            facts.size, facts.frames = (labels.shape[1], labels.shape[0]), facts.frames + 1
            _add(facts, labels)
            return facts.frames

        line = Line[_Frame, Tensor, Tensor, int](
            size=lambda frame: frame.image[0].numel(),
            read=lambda frame: frame.image,
            group=lambda image: tuple(image.shape),
            see=labels_of,
            write=write,
            batch=batch,
        )
        for done in line.run(_frames(path, source, every)):
            progress(f"frames of {path.name}", done, max(done, total), 0.0)
        if not facts.frames:
            raise DataError(f"'{path}' holds no frame of a video; replace it")
    if staged and masks:
        with writing(masks):
            shutil.rmtree(masks, ignore_errors=True)
            staged.rename(masks)
    return facts


@contextmanager
def _staged(folder: Path | None) -> Iterator[None]:
    """Begin a folder anew, and take it away where the block fails."""
    if folder is None:
        yield
        return
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    try:
        yield
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise


def _add(facts: VideoFacts, labels: Tensor) -> None:
    for class_id, pixels in count_pixels(labels).items():
        facts.pixels[class_id] = facts.pixels.get(class_id, 0) + pixels


@contextmanager
def _reading(path: Path) -> Iterator[Any]:
    import av

    try:
        container = av.open(str(path.resolve()), options=dict(READ))
    except (av.error.FFmpegError, ValueError) as error:
        raise _broken(path, error) from error
    with container:
        if not container.streams.video:
            raise DataError(f"'{path}' cannot be decoded as a video (it has no pictures); replace it")
        yield container


def _broken(path: Path, error: Exception) -> DataError:
    reason = str(error).splitlines()[0][:120] if str(error) else type(error).__name__
    return DataError(f"'{path}' cannot be decoded as a video ({reason}); replace it")


def _rate(source: Any, every: int) -> Fraction:
    stream = source.streams.video[0]
    return Fraction(stream.average_rate or stream.guessed_rate or 25) / every


def _frames(path: Path, source: Any, every: int) -> Iterator[_Frame]:
    """Every nth frame; raises DataError for one that cannot be decoded."""
    import av

    stream = source.streams.video[0]
    stream.thread_type = "AUTO"
    if max(stream.width, stream.height) > MOST_SIDE:
        raise DataError(f"'{path}' is {stream.width} x {stream.height}, larger than {MOST_SIDE}; shrink it first")
    fallback = Fraction(1) / Fraction(stream.average_rate or 25)
    number = -1
    try:
        for number, frame in enumerate(source.decode(stream)):
            if number % every == 0:
                at = frame.pts * frame.time_base if frame.pts is not None and frame.time_base else number * fallback
                yield _Frame(_upright(frame), Fraction(at), number)
    except av.error.FFmpegError as error:
        raise _broken(path, error) from error


def _upright(frame: Any) -> Tensor:
    turns = round(getattr(frame, "rotation", 0) / 90) % 4
    pixels = np.rot90(frame.to_ndarray(format="rgb24"), turns)
    return torch.from_numpy(np.ascontiguousarray(pixels)).permute(2, 0, 1)


class _Encoder:
    """A video that is written frame by frame; what is added has one size."""

    def __init__(self, path: Path) -> None:
        self.path, self.last = path, -1
        self.stream: Any = None
        self.container: Any = None

    def __enter__(self) -> _Encoder:
        import av

        self.container = av.open(str(self.path), "w", format="mp4")
        return self

    def __exit__(self, kind: object, error: object, trace: object) -> None:
        if self.stream is not None and error is None:
            for packet in self.stream.encode():
                self.container.mux(packet)
        self.container.close()

    def add(self, picture: Any, at: Fraction, rate: Fraction) -> None:
        """Encode one picture; sides are made even, as the codec wants them, by repeating the last pixels."""
        import av

        pixels = np.asarray(picture)
        pixels = np.pad(pixels, ((0, pixels.shape[0] % 2), (0, pixels.shape[1] % 2), (0, 0)), mode="edge")
        if self.stream is None:
            self._begin(pixels.shape, rate)
        frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(pixels), format="rgb24")
        frame.time_base = Fraction(1, TICKS)
        frame.pts = self.last = max(self.last + 1, round(at * TICKS))
        for packet in self.stream.encode(frame):
            self.container.mux(packet)

    def _begin(self, shape: Sequence[int], rate: Fraction) -> None:
        import av

        codec = next(name for name in CODECS if name in av.codecs_available)
        self.stream = self.container.add_stream(codec, rate=rate.limit_denominator(60000))
        self.stream.height, self.stream.width = shape[:2]
        self.stream.pix_fmt = "yuv420p"
        self.stream.codec_context.time_base = Fraction(1, TICKS)


TICKS = 60_000
"""Of a second, in which times of frames are told."""
