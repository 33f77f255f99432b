"""BAM (Lang et al., CVPR 2022): a learner of the base classes corrects the background of the meta learner."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from wilss.errors import SpecError
from wilss.fewshot.heads.aspp import AsppHead
from wilss.fewshot.heads.contract import EpisodeBatch, HeadInput, HeadOutput
from wilss.fewshot.heads.parts import describe_supports, middle, pixel_loss, resize
from wilss.fewshot.heads.spec import BamSpec

GRAM_FLOOR = 1e-7


class BamHead(nn.Module):
    """Meta learner, its adjustment by the scene difference, and the ensemble with the base learner.

    With m the softmax of the meta learner's logits, psi the scene difference (`scene_difference`), base the sum of the
    base learner's class probabilities, and a, e two pairs of learnt scalars that start at (1, 0):

        m'_x = a0 m_x + a1 psi for x in bg, fg;  f_bg = e0 m'_bg + e1 base;  logits = [f_bg, m'_fg]

    The logits are thus about as small as probabilities, as in the released code, and their cross-entropy stays well
    above zero. As long as e0 is 1, as at the start, psi adds the same to both logits: the gradient of a1 is zero
    until a step has changed e0.

    The episode's own class, where it is a base class (``inputs.exclude``), is left out of base, which knows it.

    K > 1: supports are weighed by their psi, sorted so that the layers see the most similar scene first; the softmaxed
    weights w apply to psi, priors and prototypes. The layers are made for one K.

    Args:
        channels: of c2, c3, c4 and c5.
        shots: K of all episodes.
    """

    stage1 = "classes"

    def __init__(self, channels: Sequence[int], spec: BamSpec, shots: int) -> None:
        super().__init__()
        self.spec = spec
        self.shots = shots
        self.meta = AsppHead(channels, spec)
        self.adjust = nn.Parameter(torch.tensor([1.0, 0.0]))
        self.ensemble = nn.Parameter(torch.tensor([1.0, 0.0]))
        if shots > 1:
            self.weigh = _weighing(shots, spec.kshot_dim)

    def forward(self, inputs: HeadInput) -> HeadOutput:
        """See `wilss.fewshot.heads.contract.Head`; ``aux`` holds the meta learner's logits.

        Raises SpecError for episodes of another number of supports and for inputs without base logits.
        """
        if inputs.shots != self.shots:
            raise SpecError(
                f"this BAM head was made for {self.shots} support(s) an episode, not {inputs.shots}: its layers that "
                f"weigh supports depend on their number; draw episodes of {self.shots}, or train a head with "
                f"shots={inputs.shots}"
            )
        if inputs.base_logits is None:
            raise SpecError("BAM needs the logits of its base learner; train stage 1 first and give it to the model")
        difference = scene_difference(inputs.query.c3, inputs.support.c3)
        weights = self.shot_weights(difference)
        meta = self._meta_logits(inputs, weights)
        psi = (weights * difference).sum(1)[:, None, None, None]
        base = self.base_map(inputs.base_logits, inputs.exclude)
        # written out, not as convolutions, so that autocast leaves these small differences in float32
        adjusted = self.adjust[0] * at_least_float(meta).softmax(1) + self.adjust[1] * psi
        background, foreground = adjusted.split(1, 1)
        background = self.ensemble[0] * background + self.ensemble[1] * resize(base, meta.shape[-2:])
        return HeadOutput(torch.cat([background, foreground], 1), aux=(meta,))

    def shot_weights(self, difference: Tensor) -> Tensor:
        """Weights ``(B, K)`` of the supports, sum 1, from their scene differences ``(B, K)``."""
        if self.shots == 1:
            return torch.ones_like(difference)
        ascending, order = difference.sort(1)
        with torch.autocast(difference.device.type, enabled=False):
            scores: Tensor = self.weigh(ascending)
        return scores.gather(1, order.argsort(1)).softmax(1)

    def base_map(self, logits: Tensor, exclude: Tensor | None) -> Tensor:
        """Probability of any base class: ``(B, 1 + classes, h, w)`` -> ``(B, 1, h, w)`` in [0, 1].

        Args:
            logits: of the base learner.
            exclude: int64 ``(B,)``, base class to leave out (-1: none).
        """
        classes = at_least_float(logits).softmax(1)[:, 1:]
        if exclude is not None:
            others = torch.arange(classes.shape[1], device=exclude.device) != exclude[:, None]
            classes = classes * others[:, :, None, None]
        return classes.sum(1, keepdim=True)

    def losses(self, output: HeadOutput, batch: EpisodeBatch) -> dict[str, Tensor]:
        """See `wilss.fewshot.heads.contract.Head`: cross-entropy of the ensemble and, weighted, of the meta learner.

        The released code adds that of the base learner, which is frozen: it has no gradient and is left out here.
        """
        assert batch.query_mask is not None
        return {
            "main": pixel_loss(output.logits, batch.query_mask),
            "meta": self.spec.meta_weight * pixel_loss(output.aux[0], batch.query_mask),
        }

    def _meta_logits(self, inputs: HeadInput, weights: Tensor) -> Tensor:
        """The ASPP head's prediction from weighted prototypes and priors: weights ``(B, K)`` -> ``(B, 2, h, w)``."""
        weights = weights[:, :, None, None, None]
        support = self.meta.support(middle(inputs.support))
        prototypes, priors = describe_supports(support, inputs, self.spec.detach_prior)
        prototype = (weights * prototypes).sum(1)
        return self.meta.predict(self.meta.query(middle(inputs.query)), prototype, (weights * priors).sum(1))


def scene_difference(query: Tensor, support: Tensor) -> Tensor:
    """How much the scenes of query and supports differ: psi = ||G_query - G_support||_F / C, in [0, 2].

    G is the Gram matrix of the channels, G_ij = <f_i, f_j> / (|f_i| |f_j| + 1e-7), over all positions; masks play no
    part. In float32 under autocast too: psi is a small difference of large matrices.

    Args:
        query: ``(B, C, h, w)``, a low feature (c3). support: ``(B * K, C, h, w)``.

    Returns:
        float ``(B, K)``.
    """
    with torch.autocast(query.device.type, enabled=False):
        ours, theirs = _gram(query), _gram(support).unflatten(0, (len(query), -1))
        psi: Tensor = torch.linalg.vector_norm(ours[:, None] - theirs, dim=(2, 3)) / query.shape[1]
    return psi


def at_least_float(maps: Tensor) -> Tensor:
    """Half precision as float32; anything wider stays."""
    return maps.to(torch.promote_types(maps.dtype, torch.float32))


def _gram(maps: Tensor) -> Tensor:
    """``(N, C, h, w)`` -> ``(N, C, C)`` in [-1, 1]."""
    rows = at_least_float(maps).flatten(2)
    norms: Tensor = torch.linalg.vector_norm(rows, dim=2)
    return rows @ rows.transpose(1, 2) / (norms[:, :, None] * norms[:, None] + GRAM_FLOOR)


def _weighing(shots: int, hidden: int) -> nn.Module:
    """Scores ``(B, K)`` of K scene differences in ascending order ``(B, K)``."""
    if hidden > 0:
        return nn.Sequential(nn.Linear(shots, hidden), nn.ReLU(), nn.Linear(hidden, shots))
    layer = nn.Linear(shots, shots, bias=False)
    nn.init.constant_(layer.weight, 1 / shots)
    return layer
