"""Further views of supports: what they show, and that heads meet them."""

from dataclasses import replace

import torch

from tests.wilss.tiny_heads import batch_of, model_of, spec_of
from wilss.fewshot.heads.views import SupportViews

DIM = (0.4, 0.3, 0.2)


def test_mirrored_supports_are_further_shots_with_their_masks() -> None:
    batch = batch_of(n=2, shots=2)
    left = batch.support_mask.clone()
    left[..., 30:] = 0  # the object is no longer symmetric
    batch = replace(batch, support_mask=left)
    twins = {name: getattr(batch, name) for name in ("support", "support_mask", "support_pad")}
    both = replace(batch, **{name: torch.cat([x, torch.flip(x, (-1,))], 1) for name, x in twins.items()})
    plain, mirrored = (model_of(spec_of("cwt", cwt={"mirror": mirror, "turns": ()})).eval() for mirror in (False, True))
    torch.testing.assert_close(mirrored.predict(batch), plain.predict(both))
    assert not torch.allclose(mirrored.predict(batch), plain.predict(batch), atol=1e-3)


def test_turned_supports_are_further_shots_with_their_masks() -> None:
    batch = batch_of(n=2, shots=2)
    pad = torch.zeros_like(batch.support_pad)
    pad[..., -8:] = True
    batch = replace(batch, support_pad=pad, support_mask=batch.support_mask.masked_fill(pad, 255))
    shown = SupportViews(mirror=True, turns=(90.0, -20.0)).add(batch, torch.tensor(DIM))
    kept, quarter, turned, mirrored = shown.support[:, :2], shown.support[:, 2:4], shown.support[:, 4:6], 6
    assert shown.support.shape[1] == 12
    assert torch.equal(kept, batch.support)
    torch.testing.assert_close(quarter, batch.support.rot90(1, (-2, -1)), atol=1e-4, rtol=0)
    assert torch.equal(shown.support_mask[:, 2:4], batch.support_mask.rot90(1, (-2, -1)))
    assert torch.equal(shown.support_pad[:, 2:4], batch.support_pad.rot90(1, (-2, -1)))
    corners = (0, 0, -1, -1), (0, -1, 0, -1)
    assert (turned[..., corners[0], corners[1]] == torch.tensor(DIM)[:, None]).all(), "the colour of what is outside"
    assert (shown.support_mask[:, 4:6, corners[0], corners[1]] == 255).all()
    assert shown.support_pad[:, 4:6, corners[0], corners[1]].all()
    assert torch.equal(shown.support[:, mirrored:], shown.support[:, :mirrored].flip(-1))
    assert torch.equal(shown.query, batch.query)


def test_a_head_fits_to_all_views_that_its_settings_name() -> None:
    batch = batch_of(n=2, shots=2)
    plain = model_of(spec_of("cwt", cwt={"mirror": False, "turns": ()})).eval()
    more = model_of(spec_of("cwt", cwt={"mirror": True, "turns": (30.0,)})).eval()
    assert more.views == SupportViews(True, (30.0,))
    torch.testing.assert_close(more.predict(batch), plain.predict(more.views.add(batch, more.backbone.normalise.mean)))
    assert not torch.allclose(more.predict(batch), plain.predict(batch), atol=1e-3)
    met: list[int] = []
    more.head.register_forward_pre_hook(lambda head, arguments: met.append(arguments[0].support_mask.shape[1]))
    more.eval().predict(batch)
    more.train().losses(batch)
    assert met == [8, 4], "turned ones in evaluation only"
    assert model_of(spec_of("aspp")).views == SupportViews()
