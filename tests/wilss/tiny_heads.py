"""Few-shot models of the smallest preset, and episodes that need no data set."""

import torch

from wilss.fewshot.build import build_model, build_stage1
from wilss.fewshot.heads.contract import EpisodeBatch
from wilss.fewshot.model import FewShotModel
from wilss.fewshot.spec import FewShotSpec, make_fewshot_spec
from wilss.nets.pretrained import find_weights

TRAINED = ("aspp", "pfenet", "bam", "cwt", "ipmt")
WEIGHTS = find_weights("resnet_scenes", "auto", None)


def spec_of(head: str, **changes: object) -> FewShotSpec:
    return make_fewshot_spec({"benchmark": "scenes-5i", "fold": 0, "preset": "tiny", "head": head, **changes})


def model_of(spec: FewShotSpec) -> FewShotModel:
    torch.manual_seed(0)
    return build_model(spec, WEIGHTS, 15, build_stage1(spec, WEIGHTS, 15).state_dict())


def batch_of(n: int = 2, shots: int = 1, side: int = 65, seed: int = 0) -> EpisodeBatch:
    """Queries and supports with a bright square, which is the object."""
    gen = torch.Generator().manual_seed(seed)
    images = 0.3 + 0.05 * torch.randn(n * (1 + shots), 3, side, side, generator=gen)
    masks = torch.zeros(n * (1 + shots), side, side, dtype=torch.uint8)
    masks[:, 16:40, 16:48] = 1
    masks[:, 60:] = 255
    images = (images + 0.6 * (masks == 1)[:, None]).clamp(0, 1)
    pad = torch.zeros(n * (1 + shots), side, side, dtype=torch.bool)
    support = [x[n:].unflatten(0, (n, shots)) for x in (images, masks, pad)]
    classes = torch.arange(n) + 6
    return EpisodeBatch(images[:n], masks[:n], pad[:n], *support, classes, classes - 6)
