"""What ``import wilss`` offers to scripts; see `wilss.__all__`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from wilss.bucket.address import data_folder
from wilss.data.families import family_of
from wilss.data.families import open_source as open_family
from wilss.data.given import Picture, Pictures, tag_table, words_of
from wilss.data.id_lists import choose_lists
from wilss.data.images import ImageTable, MaskedImages, TaggedImages
from wilss.data.source import VOID, Source
from wilss.device import require_device
from wilss.errors import DataError, SpecError
from wilss.foundation.choose import choose_scorer
from wilss.foundation.label import Labelling, Labels, grid_of
from wilss.foundation.spec import AUTO
from wilss.foundation.vocabulary import benchmark_words
from wilss.foundation.zoo import build_grouper, build_scorer, require_known
from wilss.layout import default_root, root_folder
from wilss.learn import incremental
from wilss.learn.memory import MemoryBank
from wilss.measure.score import score_images
from wilss.measure.scores import Scores
from wilss.models.growing import grown_card, words_of_family
from wilss.models.lookup import model_folder
from wilss.models.model import Model
from wilss.outside import is_yaml
from wilss.protocol import benchmarks, output_channels
from wilss.register import read_own_benchmark
from wilss.settings import Settings, weights_folder
from wilss.spec import RunSpec, make_spec
from wilss.words import merge

Classes = Sequence[str] | Mapping[str, str | Sequence[str]]
"""Names, or names with the words that the scorer knows them by."""
Images = Picture | Sequence[Picture]
Tags = Sequence[Sequence[str]]
SCRIPT = "script"
"""Name of the benchmark that a script's classes make."""


def load(name: str | Path, root: str | Path | None = None, device: str = "auto") -> Model:
    """A student to predict with.

    Args:
        name: its folder, the folder of a run (then its last student), an alias such as "champion", or (the first digits
            of) its digest.
        root: where aliases and digests are looked up, a folder or ``s3://BUCKET/PREFIX``; ``WILSS_ROOT``, else
            ``./wilss-data``.

    Raises ArtefactNotFoundError when there is no such student, FormatError for one that is damaged or newer, SpecError
    for a device that this machine has not.
    """
    place = require_device(device)
    return Model.open(model_folder(name, root_folder(root) if root else default_root()), place)


def label(
    images: Images,
    tags: Tags,
    classes: Classes,
    preset: str = "demo",
    *,
    known: Classes = (),
    ids: Sequence[str] | None = None,
    settings: Mapping[str, Any] | None = None,
    weights: str | Path | None = None,
    device: str = "auto",
    seed: int = 0,
) -> Labels:
    """Masks from image-level tags: a scorer and a grouper co-segment the classes that each image is tagged with.

    All results are held in memory; an image's masks do not depend on the others, so that a list may come in portions.
    That is why the canvas is ``data.canvas`` here: ``data.fit`` is for runs over a folder.

    Args:
        images: as of `wilss.models.model.Model.predict`. tags: class names of each image.
        classes: names, or name -> words that the scorer knows it by.
        preset: "demo" for the built-in world, whose models ship; "small" for photographs.
        known: classes that compete for pixels and get no mask.
        ids: names of the images, which its seed points depend on; their files' when left out.
        settings: sections over the preset, ``{"foundation": {"scorer": "clip:ViT-B-16/openai"}}``; see ``wilss
            settings``.
        weights: folder of pretrained weights.

    Raises SpecError for unknown names and settings, WeightsNotFoundError, DataError and DataNotFoundError for images
    and tags that cannot be used.
    """
    new = words_of(classes)
    spec = _spec(words_of(known), new, preset, settings, seed=seed)
    return _labels(spec, _tagged(images, ids, tags, new, spec.data.canvas), weights, require_device(device))


def train_step(
    model: Model,
    images: Images,
    tags: Tags,
    classes: Classes,
    method: str = "fmwiss",
    preset: str = "demo",
    *,
    labels: Labels | None = None,
    bank: MemoryBank | None = None,
    ids: Sequence[str] | None = None,
    settings: Mapping[str, Any] | None = None,
    weights: str | Path | None = None,
    seed: int = 0,
) -> Model:
    """Teach a student new classes from images with tags; the student that is given stays as it is.

    Args:
        labels: masks of these images by `label`, for a method that learns from masks; made when left out.
        bank: instances of the old classes (`wilss.learn.memory.build_bank`, and `wilss.learn.growth.grow_bank` after a
            step); without it nothing is pasted.
        others: as of `label`. settings: "step", "augment" and the method's section, as of a run.

    Raises SpecError for a method or settings that do not fit, TrainingError when a loss is not finite, and as `label`.
    """
    new = words_of(classes) if isinstance(classes, Mapping) else words_of_family(model.card, tuple(words_of(classes)))
    known = words_of_family(model.card, model.card.classes)
    spec = _spec(known, new, preset, settings, method=method, seed=seed)
    data = _tagged(images, ids, tags, new, model.card.input.canvas)
    if spec.uses_labels and labels is None:
        labels = _labels(spec, data, weights, model.device)
    if labels is not None:
        _require_of(labels, data, tuple(new))
    own = spec.method_settings if bank else spec.method_settings.without_bank()
    step = incremental.StepData(data, labels if spec.uses_labels else None, bank)
    result = incremental.train_step(model.network, step, method, own, spec.step, spec.augment, seed)
    return Model(result.student.eval(), grown_card(model.card, tuple(new), result.history))


def evaluate(model: Model, source: Source, ids: Sequence[str] | None = None) -> Scores:
    """Score a student on images with masks, at their full size.

    Args:
        source: see `open_source`; its classes must be those that the student was trained on. Classes that the student
            does not know count as background.
        ids: of images with masks; the source's evaluation images when left out.

    Raises SpecError for other classes, DataError when there is no image.
    """
    for class_id, name in zip(model.card.class_ids, model.card.classes, strict=True):
        if source.classes[class_id - 1 : class_id] != (name,):
            raise SpecError(
                f"class {class_id} of the student is '{name}', and not of the data; open those it was trained on"
            )
    chosen = source.ids("eval") if ids is None else tuple(ids)
    if not chosen:
        raise DataError("there is no image to score on; name some that have masks with ids=")
    channels = output_channels(model.card.class_ids, len(source.classes), VOID)
    table = ImageTable(source, chosen, model.card.input.canvas)
    matrix = score_images(model.network, MaskedImages(table, tuple(channels), source))
    return Scores(model.card.classes, model.card.step_sizes[0], matrix)


def open_source(
    name: str | Path,
    data: str | Path | None = None,
    *,
    voc: str | Path | None = None,
    classes: Sequence[str] = (),
    preset: str | None = None,
    settings: Mapping[str, Any] | None = None,
    labels_csv: str | Path | None = None,
    skip_unreadable: bool = False,
) -> Source:
    """Open a data set.

    Args:
        name: a benchmark ("voc-15-5", or the YAML file of one's own) or a data family ("voc", "folder").
        data, voc: its folders. classes: names of a "folder".
        preset: that the section "data" is taken from; the family's own when left out. settings: keys over it.

    Raises SpecError for an unknown name or setting, DataNotFoundError or DataError for data that cannot be opened.
    """
    named = _named(str(name), classes)
    spec = make_spec(merge({"preset": preset, **named}, settings or {}))
    if data is not None:
        data = data_folder(Path(data))
    machine = Settings.model_validate(
        {"data": data, "voc": voc, "labels_csv": labels_csv, "skip_unreadable": skip_unreadable}
    )
    entry, given = family_of(spec.protocol.family), (settings or {}).get("data", {})
    folder = getattr(machine, entry.voc_option) if entry.voc_option else None
    found = choose_lists(folder, given.get("train_list"), given.get("eval_list"))
    lists = {key: value for key, value in zip(("train_list", "eval_list"), found, strict=True) if value}
    own = None if entry.classes else spec.custom
    return open_family(entry.name, spec.data.model_copy(update=lists), machine, spec.protocol.steps[0], own)


def _named(name: str, classes: Sequence[str]) -> dict[str, Any]:
    """The benchmark of a specification whose data are to be opened; of a family, all its classes in one step."""
    if name in benchmarks():
        return {"benchmark": name}
    if is_yaml(name):
        custom = read_own_benchmark(Path(name))
    else:
        custom = {"name": SCRIPT, "data": name, "steps": [list(classes) or list(family_of(name).classes)]}
    return {"benchmark": custom.get("name", ""), "custom": custom}


def _spec(
    known: Mapping[str, tuple[str, ...]],
    new: Mapping[str, tuple[str, ...]],
    preset: str,
    settings: Mapping[str, Any] | None,
    **given: object,
) -> RunSpec:
    """Settings for classes of one's own, after others."""
    if not new:
        raise SpecError("no class is named; name one or more with classes=")
    steps = [list(names) for names in (known, new) if names]
    custom = {"name": SCRIPT, "data": "folder", "steps": steps, "prompts": {**known, **new}}
    return make_spec(merge({"benchmark": SCRIPT, "custom": custom, "preset": preset, **given}, settings or {}))


def _tagged(images: Images, ids: Sequence[str] | None, tags: Tags, classes: Iterable[str], canvas: int) -> TaggedImages:
    pictures = Pictures.of(images, ids)
    if not pictures.ids:
        raise DataError("there is no image; give one or more")
    table = tag_table(tags, tuple(classes), len(pictures.ids))
    return TaggedImages(ImageTable(pictures, pictures.ids, canvas), table)


def _labels(spec: RunSpec, data: TaggedImages, weights: str | Path | None, device: torch.device) -> Labels:
    assert spec.custom is not None
    *earlier, new = spec.custom.steps
    words, folder = spec.custom.prompts, weights_folder(Path(weights) if weights else None)
    vocabulary = benchmark_words(spec.foundation, tuple(words), words, {}, {})
    foundation, why = vocabulary.settings(spec.foundation), ""
    if foundation.scorer == AUTO:
        chosen, why = choose_scorer(foundation, {name: words[name] for name in new}, folder)
        foundation = foundation.model_copy(update={"scorer": chosen})
    grouper = build_grouper(foundation, folder, str(device))
    scorer = build_scorer(foundation, folder, str(device), lambda: grouper)
    require_known(scorer, {name: words[name] for name in new})
    old = [words[name] for names in earlier for name in names] if foundation.old_names else []
    canvas = data.images.canvas
    own = [words[name] for name in new]
    how = (foundation.cosegment, own, old, canvas, grid_of(canvas), spec.seed, device)
    notes = tuple(note for note in (why, vocabulary.background.sentence) if note)
    return replace(Labelling(scorer, grouper, *how).labels(data, new), notes=notes)


def _require_of(labels: Labels, data: TaggedImages, classes: tuple[str, ...]) -> None:
    """Raise DataError for labels of other images or classes."""
    canvas = data.images.canvas
    if (labels.ids, labels.classes, labels.masks.shape[-1]) != (data.images.ids, classes, canvas):
        raise DataError(
            f"the labels are {len(labels)} of {', '.join(labels.classes)} at {labels.masks.shape[-1]} px, the step has "
            f"{len(data)} images of {', '.join(classes)} at {canvas} px; make them of the same images, in their order, "
            f'with settings={{"data": {{"canvas": {canvas}}}}}'
        )
