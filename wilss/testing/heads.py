"""Contract suite of few-shot heads."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import replace
from typing import cast

import pytest
import torch
from torch import nn

from wilss.fewshot.heads.contract import EpisodeBatch, Head, HeadInput, HeadOutput
from wilss.testing.episodes import make_batch, make_input
from wilss.testing.methods import total


class HeadContract(ABC):
    """What every `wilss.fewshot.heads.contract.Head` promises.

    channels: of c2 to c5. decode_channels: of the bottleneck of stage 1, for a head that builds upon its decoder.
    """

    channels = (16, 16, 32, 32)
    decode_channels = 16

    @abstractmethod
    def make(self, channels: Sequence[int], shots: int) -> nn.Module:
        """The head, untrained, for backbone maps of these channels and episodes of so many supports."""

    def head(self, shots: int = 1) -> nn.Module:
        """The same head at every call."""
        torch.manual_seed(0)
        return self.make(self.channels, shots)

    def inputs(self, shots: int = 1, size: tuple[int, int] = (7, 7), n: int = 2) -> HeadInput:
        """Random features in float32, with what stage 1 would give."""
        sizes = {"size": size, "image": (7 * size[0], 7 * size[1])}
        given = {"decode_channels": self.decode_channels, "n_base": 3, "dtype": torch.float32}
        made = make_input(n, shots, self.channels, **sizes, **given)  # type: ignore[arg-type]
        return replace(made, exclude=torch.full((n,), -1))

    def test_it_says_what_it_builds_upon(self) -> None:
        head = self.head()
        assert isinstance(head, nn.Module)
        assert cast(Head, head).stage1 in ("", "decoder", "classes")

    @pytest.mark.parametrize("shots", [1, 3])
    @pytest.mark.parametrize("size", [(7, 7), (5, 9)])
    def test_it_gives_background_and_foreground_of_any_map_and_any_shots(
        self, size: tuple[int, int], shots: int
    ) -> None:
        inputs = self.inputs(shots, size)
        for mode in (True, False):
            logits = _output(self.head(shots).train(mode), inputs).logits
            assert logits.shape[:2] == (2, 2)
            assert logits.is_floating_point()
            assert bool(logits.isfinite().all())

    def test_c3_may_be_finer_than_the_maps_after_it(self) -> None:
        inputs = self.inputs()
        fine = [torch.randn(2, self.channels[1], 13, 13, generator=torch.Generator().manual_seed(k)) for k in (0, 1)]
        finer = replace(inputs, query=inputs.query._replace(c3=fine[0]), support=inputs.support._replace(c3=fine[1]))
        assert bool(_output(self.head().eval(), finer).logits.isfinite().all())

    def test_an_empty_support_is_no_error(self) -> None:
        inputs = self.inputs()
        empty = replace(inputs, support_mask=torch.zeros_like(inputs.support_mask))
        assert bool(_output(self.head().eval(), empty).logits.isfinite().all())

    def test_an_episode_does_not_see_the_others_and_nothing_is_random_in_evaluation(self) -> None:
        head, inputs = self.head(shots=2).eval(), self.inputs(shots=2)
        together = _output(head, inputs).logits
        assert torch.equal(_output(head, inputs).logits, together)
        torch.testing.assert_close(_output(head, _first(inputs)).logits, together[:1], atol=1e-4, rtol=1e-3)

    @pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
    def test_losses_are_float32_numbers_also_under_autocast(self, dtype: torch.dtype) -> None:
        head, inputs = self.head().train(), self.inputs()
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=dtype == torch.bfloat16):
            terms = self.losses(head, inputs)
        assert terms
        for name, term in terms.items():
            assert (term.dtype, term.ndim) == (torch.float32, 0), name
            assert bool(term.isfinite()), name

    def test_it_learns(self) -> None:
        head, inputs = self.head().train(), self.inputs()
        total(self.losses(head, inputs)).backward()
        gradients = [p.grad for p in head.parameters() if p.grad is not None]
        assert all(bool(gradient.isfinite().all()) for gradient in gradients)
        assert any(float(gradient.abs().sum()) > 0 for gradient in gradients)

    def losses(self, head: nn.Module, inputs: HeadInput) -> dict[str, torch.Tensor]:
        """Loss terms over the episodes that the inputs could come from."""
        batch: EpisodeBatch = make_batch(inputs)
        return cast(Head, head).losses(_output(head, inputs), batch)


def _output(head: nn.Module, inputs: HeadInput) -> HeadOutput:
    output: HeadOutput = head(inputs)
    return output


def _first(inputs: HeadInput) -> HeadInput:
    """The first episode alone."""
    rows = {name: getattr(inputs, name)[:1] for name in ("support_mask", "support_pad", "query_pad", "base_logits")}
    query = type(inputs.query)(*(maps[:1] for maps in inputs.query))
    support = type(inputs.support)(*(maps[: inputs.shots] for maps in inputs.support))
    assert inputs.exclude is not None
    return replace(inputs, query=query, support=support, exclude=inputs.exclude[:1], **rows)
