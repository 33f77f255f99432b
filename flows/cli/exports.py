"""``wilss models export`` and ``wilss models import``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from flows.cli.options import Flag, Json, Root, several
from flows.cli.printing import print_json, print_table, show
from wilss.layout import default_root

if TYPE_CHECKING:
    from stores.models.export import Exported

SHOWN = 5
"""Names that are told of many."""


def models_export(
    model: str,
    *,
    to: Path,
    format: Literal["safetensors", "onnx", "torch-export"] = "safetensors",
    output: Literal["labels", "logits"] = "labels",
    int8: Flag = False,
    pictures: Annotated[tuple[Path, ...], several("--pictures", "--picture")] = (),
    masks: Path | None = None,
    root: Root = None,
    json: Json = False,
) -> None:
    """Write a model into a folder of its own: config.json, weights and a README, and a graph for other programs.

    'wilss predict', 'wilss.load' and --start take the folder. A graph goes from the bytes of images of any size to
    class ids at their size, and is compared with the model before the command ends.

    Args:
        model: alias, digest or folder of a model, or folder of a run
        to: folder that does not exist yet
        format: safetensors, the weights alone; onnx, model.onnx beside them (pip install 'wilss[onnx]'); torch-export,
            model.pt2
        output: of the graph: class ids of every pixel, or logits
        int8: an ONNX model with eight-bit numbers too, with ranges found on the pictures
        pictures: files and folders of pictures on which the graph is compared; built-in ones when left out
        masks: folder of their true masks, NAME.png of the model's class ids: the table then has the mean IoU of the
            model and of each graph
    """
    from stores.models.export import export_model
    from stores.models.graphs import Wanted

    wanted = Wanted(format, output, int8, pictures, masks)
    exported = export_model(model, root or default_root(), to, wanted)
    if json:
        print_json({"folder": str(exported.folder), "parity": _plain(exported)})
        return
    _print_parity(exported)
    show(exported.folder)


def models_import(
    checkpoint: Path,
    *,
    to: Path,
    benchmark: str = "",
    classes: Annotated[tuple[str, ...], several("--classes", "--class")] = (),
    output_stride: int = 16,
    canvas: int = 512,
    norm: Literal["inplace", "plain"] = "inplace",
    backbone_only: Flag = False,
) -> None:
    """Bring a student of MiB, PLOP or WILSON as a model folder, or the backbone of torchvision's DeepLabV3 and FCN.

    Args:
        checkpoint: .pth, .pt or .safetensors; nothing in it is executed
        to: folder that does not exist yet; a file NAME.safetensors with --backbone-only
        benchmark: whose classes it knows, e.g. voc-15-5
        classes: their names instead, one for each output after background, step by step
        output_stride: 16 or 8, as it was trained
        canvas: pixels to which larger images are shrunk, longer side
        norm: inplace, InPlace-ABN, whose weights count by magnitude; plain, BatchNorm
        backbone_only: write the backbone's weights alone, for --set student.weights=FILE
    """
    from stores.models.bring import Known, bring_backbone, bring_student

    if backbone_only:
        show(bring_backbone(checkpoint, to).path)
        return
    brought = bring_student(checkpoint, to, Known(benchmark, classes, output_stride, canvas, norm))
    if brought.left:
        more = ", ..." if len(brought.left) > SHOWN else ""
        show(f"{len(brought.left)} tensors have no place here: {', '.join(brought.left[:SHOWN])}{more}")
    show(f"{brought.backbone} with {len(brought.classes)} classes: {', '.join(brought.classes)}")
    show(brought.path)


def _plain(exported: Exported) -> dict[str, object]:
    return {name: one.model_dump(mode="json") for name, one in exported.parity.items()}


def _print_parity(exported: Exported) -> None:
    if not exported.parity:
        return
    scored = [one.truth for one in exported.parity.values() if one.truth is not None]
    rows = [
        [
            name,
            str(len(one.pictures)),
            "–" if one.logits is None else f"{one.logits:.1e}",
            f"{100 * one.equal:.3f}",
            f"{100 * one.as_predicted:.3f}",
            f"{100 * one.iou:.2f}",
            *([f"{100 * one.truth.graph:.2f}"] if one.truth else []),
        ]
        for name, one in exported.parity.items()
    ]
    columns = ["graph", "pictures", "max difference of logits", "equal pixels %", "as predicted %", "mIoU with it %"]
    if scored:
        columns.append(f"mIoU with the truth % (model {100 * scored[0].model:.2f})")
    print_table("compared with the model", columns, rows, left=True)
    if scored and scored[0].unknown:
        show(f"{100 * scored[0].unknown:.1f} % of the masks' pixels have ids that the model does not know: not scored")
