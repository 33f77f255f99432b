"""A backbone and a head that segments the query of an episode."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import torch
from torch import Tensor, nn

from wilss.fewshot.heads.contract import EpisodeBatch, Head, HeadInput, HeadOutput
from wilss.fewshot.heads.parts import resize
from wilss.fewshot.heads.views import SupportViews
from wilss.fewshot.psp import PspNet
from wilss.fewshot.pyramid import Features, MiddleFeatures, PyramidBackbone


class FewShotModel(nn.Module):
    """Logits of queries, given their supports.

    Args:
        backbone: shared by queries and supports.
        head: see `wilss.fewshot.heads.contract.Head`.
        stage1: the network that the head builds upon, frozen and always in evaluation mode; None where it needs none.
        shared: the backbone is that of ``stage1`` and not trained, so that its features serve both.
        views: further views of the supports that the head meets; turned ones in evaluation mode only.
    """

    def __init__(
        self,
        backbone: PyramidBackbone,
        head: nn.Module,
        stage1: PspNet | None,
        shared: bool,
        views: SupportViews | None = None,
    ) -> None:
        super().__init__()
        self.views = views or SupportViews()
        self.backbone = backbone
        self.head = head
        self.stage1 = stage1.requires_grad_(False).eval() if stage1 is not None else None
        self.shared = shared
        if self.stage1 is not None and (shared or self.kind == "decoder"):
            self.stage1.backbone = nn.Identity()

    @property
    def kind(self) -> str:
        """What the head takes of stage 1."""
        return cast(Head, self.head).stage1

    def forward(self, batch: EpisodeBatch) -> HeadOutput:
        """Predictions at feature resolution; the query's mask is not looked at."""
        batch = self.views.add(batch, self.backbone.normalise.mean, turned=not self.training)
        middle, support = self._middle(batch.query, batch.support.flatten(0, 1))
        query = Features(*middle, self.backbone.last_stage(middle.c4))
        inputs = HeadInput(
            query=query,
            support=support,
            support_mask=batch.support_mask,
            support_pad=batch.support_pad,
            query_pad=batch.query_pad,
            last_stage=self.backbone.last_stage,
            decode=self.stage1.bottleneck if self.stage1 is not None else None,
            base_logits=self._base_logits(batch.query, query),
            exclude=batch.base_class,
        )
        output: HeadOutput = self.head(inputs)
        return output

    def predict(self, batch: EpisodeBatch) -> Tensor:
        """Logits float32 ``(B, 2, H, W)`` at the size of the query's canvas."""
        return resize(self(batch).logits.float(), batch.query.shape[-2:])

    def losses(self, batch: EpisodeBatch) -> dict[str, Tensor]:
        """Loss terms of the head."""
        return cast(Head, self.head).losses(self(batch), batch)

    def parts(self) -> dict[str, list[nn.Parameter]]:
        """Parameters by what trains them: "backbone", "transformer" (IPMT's), "head" (all others)."""
        own = getattr(self.head, "transformer_parameters", None)
        transformer: list[nn.Parameter] = own() if own is not None else []
        known = {id(p) for p in transformer}
        return {
            "backbone": list(self.backbone.parameters()),
            "transformer": transformer,
            "head": [p for p in self.head.parameters() if id(p) not in known],
        }

    def train(self, mode: bool = True) -> FewShotModel:
        """Stage 1 stays in evaluation mode."""
        super().train(mode)
        if self.stage1 is not None:
            self.stage1.eval()
        return self

    def _middle(self, query: Tensor, support: Tensor) -> tuple[MiddleFeatures, MiddleFeatures]:
        """Of queries and supports; in one pass, unless only the queries' is gone through backwards.

        Where BatchNorm learns, both are one batch all the same.
        """
        if getattr(self.head, "detaches_supports", False) and not self.backbone.train_batchnorm:
            of_query = self.backbone.middle(query)  # first: autocast may keep what it has cast without gradient
            with torch.no_grad():
                return of_query, self.backbone.middle(support)
        maps, n = self.backbone.middle(torch.cat([query, support])), len(query)
        return MiddleFeatures(*(m[:n] for m in maps)), MiddleFeatures(*(m[n:] for m in maps))

    @torch.no_grad()
    def _base_logits(self, images: Tensor, query: Features) -> Tensor | None:
        if self.stage1 is None or self.kind != "classes":
            return None
        c5 = query.c5 if self.shared else self.stage1.backbone(images).c5
        return self.stage1.class_logits(c5)


def trained_state(model: FewShotModel, tuning: str) -> dict[str, Tensor]:
    """What a training changed: the head, and the backbone unless it was frozen."""
    state = model.state_dict()
    kept: Sequence[str] = ("head.",) if tuning == "frozen" else ("head.", "backbone.")
    return {name: value for name, value in state.items() if name.startswith(tuple(kept))}
