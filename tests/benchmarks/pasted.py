"""What a student sees of pasted instances: ``python -m tests.benchmarks.pasted RUN [--after 3] [--data DATA]``.

Instances of the bank after a step are pasted on evaluation images, one an image and class by class, and the student of
that step looks at them: which share of their pixels it calls their class, beside what it finds of real objects in these
images. They come as the bank shows them, and cut out along their masks alone; of a bank without
surroundings both are the same. An instance that the old model does not
know teaches the next student a thing that is no object.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from stores.banks import load_bank
from tests.benchmarks import last_line
from wilss.api import evaluate, open_source
from wilss.data.images import ImageTable
from wilss.foundation.label import batches_of
from wilss.layout import find_artefact
from wilss.learn.copypaste import paste
from wilss.learn.memory import MemoryBank
from wilss.learn.spec import PasteSpec
from wilss.models.model import Model
from wilss.report.records import percent

ONE = PasteSpec(probability=1.0, count=1)


@torch.inference_mode()
def recognised(model: Model, table: ImageTable, bank: MemoryBank) -> float:
    """Share of pasted pixels, a class alone, that the student gives its class."""
    gen, hits, whole = torch.Generator().manual_seed(0), 0, 0
    for _, images in batches_of(table, range(len(table))):
        pasted = paste(images, None, bank, ONE, gen)
        logits: Tensor = model.network(pasted.images).float()
        seen = F.interpolate(logits, images.shape[-2:], mode="bilinear", align_corners=False).argmax(1)
        inside = pasted.channels > 0
        hits, whole = hits + int((seen == pasted.channels)[inside].sum()), whole + int(inside.sum())
    return hits / max(1, whole)


def measure(run: Path, root: Path, after: int, count: int, data: Path | None) -> dict[str, dict[str, float | None]]:
    """Recall of each class: real objects, pasted instances as the bank shows them, and cut out along their masks."""
    told: dict[str, Any] = json.loads((run / "report.json").read_text())
    source = open_source(told["benchmark"], data, settings={"data": told["spec"]["data"]})
    ids = source.ids("eval")[:count]
    folder = find_artefact(root, "checkpoints", told["artefacts"][f"checkpoint {after}"])
    model = Model.open(folder, torch.device("cpu"))
    named = f"memory bank {after}" if after else "memory bank"
    bank = load_bank(find_artefact(root, "banks", told["artefacts"][named]))
    table = ImageTable(source, ids, model.card.input.canvas)
    matrix = evaluate(model, source, ids).confusion
    found = {}
    for channel in bank.counts():
        own = bank.chosen((bank.channels == channel).nonzero()[:, 0].tolist())
        found[model.classes[channel]] = {
            "real": float(matrix[channel, channel] / total) if (total := int(matrix[channel].sum())) else None,
            "as shown": recognised(model, table, own),
            "cut out": recognised(model, table, replace(own, shown=None)),
        }
    return found


def main() -> None:
    """Print the table and, as JSON, its numbers."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("run", type=Path, help="folder of a run, in ROOT/runs")
    parser.add_argument("--after", type=int, default=0, help="step")
    parser.add_argument("--count", type=int, default=150, help="of images")
    parser.add_argument("--data", type=Path, default=None)
    options = parser.parse_args()
    found = measure(options.run, options.run.parent.parent, options.after, options.count, options.data)
    print("| class | real objects | instances as shown | cut out |\n|---|---:|---:|---:|")
    for name, shares in found.items():
        print(f"| {name} | " + " | ".join(percent(share) for share in shares.values()) + " |")
    last_line("pasted", found)


if __name__ == "__main__":
    main()
