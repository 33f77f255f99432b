"""Training over episodes, in the loop that all trainings share."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from wilss.device import double
from wilss.fewshot.episodes.batches import DrawEpisodes
from wilss.fewshot.heads.baselines import UntrainedHead
from wilss.fewshot.heads.contract import EpisodeBatch
from wilss.fewshot.heads.parts import resize
from wilss.fewshot.model import FewShotModel
from wilss.fewshot.sections import EpisodicTrainSpec
from wilss.fewshot.training import episodic_rules
from wilss.learn.loop import Training, Watch
from wilss.state import History

N_THRESHOLDS = 41


@dataclass(frozen=True)
class _Episodes:
    """The objective: the head's own losses."""

    model: FewShotModel

    def heads(self) -> Iterable[nn.Module]:
        return ()

    def losses(self, batch: EpisodeBatch, epoch: int) -> dict[str, Tensor]:
        return self.model.losses(batch)


def train_episodic(
    model: FewShotModel,
    draw: DrawEpisodes,
    ids: tuple[str, ...],
    spec: EpisodicTrainSpec,
    generator: torch.Generator,
    watch: Watch | None = None,
) -> History:
    """Train a head, and of the backbone what ``spec.tuning`` says; returns the mean loss terms of every epoch.

    Args:
        ids: query images, by position. generator: what ``draw`` draws from too.

    Raises TrainingError when a loss is not finite.
    """
    training = Training(
        model,
        _Episodes(model),
        draw,
        ids,
        spec,
        (generator,),
        watch or Watch("episodes"),
        svf_layers=model.backbone.stage_names(spec.svf_stages),
        svf_form=spec.svf_form,
        make_rules=lambda total: episodic_rules(spec, model.parts(), total),
    )
    return training.run()


@torch.inference_mode()
def fit_threshold(model: FewShotModel, batches: Iterable[EpisodeBatch]) -> float:
    """Choose the threshold of an untrained head that gives the best mean IoU over base classes; returns it.

    The candidates are `N_THRESHOLDS` values between the lowest and the highest score of all batches.
    """
    head = model.head
    assert isinstance(head, UntrainedHead)
    head.threshold.zero_()
    model.eval()
    queries: list[tuple[int, Tensor, Tensor]] = []
    for batch in batches:
        assert batch.query_mask is not None
        scores = resize(model(batch).logits[:, 1:], batch.query.shape[-2:])[:, 0]
        queries += zip(batch.class_id.tolist(), scores, batch.query_mask, strict=True)
    ends = torch.stack([torch.stack(score.aminmax()) for _, score, _ in queries])
    low, high = float(ends[:, 0].min()), float(ends[:, 1].max())
    candidates = torch.linspace(low, high, N_THRESHOLDS, device=queries[0][1].device)
    hits: dict[int, Tensor] = {}
    for class_id, score, mask in queries:
        counts = _hits_and_unions(score, mask, candidates)
        hits[class_id] = hits.get(class_id, torch.zeros_like(counts)) + counts
    mean = torch.stack([counts[0] / counts[1].clamp(min=1) for counts in hits.values()]).mean(0)
    head.threshold.fill_(float(candidates[mean.argmax()]))
    return float(head.threshold)


def _hits_and_unions(score: Tensor, mask: Tensor, candidates: Tensor) -> Tensor:
    """float64 ``(2, T)`` of one query at every threshold."""
    score, truth = score[mask != 255], mask[mask != 255] == 1
    found = score > candidates[:, None]
    return double(torch.stack([(found & truth).sum(1), (found | truth).sum(1)]))
