"""BatchNorm over two processes against torch's own on the whole batch: output, gradients, running statistics."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import nn

from tests.wilss.on_ranks import facts_of, images_of, normalised_net, on_two
from wilss.errors import SpecError
from wilss.nets.batchnorm import SyncedBatchNorm, SyncedBatchNormAct, synchronise_batchnorm


@pytest.mark.parametrize(("n", "offset"), [(5, 0.0), (4, 30.0)])
def test_two_processes_normalise_as_one_does_the_whole_batch(tmp_path: Path, n: int, offset: float) -> None:
    net = normalised_net()
    net(images_of(n))
    torch.save(net.state_dict(), tmp_path / "state.pt")
    alone = facts_of(net, images_of(n, offset), n)
    found = on_two("batchnorm", n=n, offset=offset, state=str(tmp_path / "state.pt"))
    for name in ("out", "input"):
        torch.testing.assert_close(torch.tensor(found[name]), alone[name], rtol=1e-4, atol=1e-5)
    for name in ("gradients", "buffers"):
        for mine, other in zip(found[name], alone[name], strict=True):
            torch.testing.assert_close(torch.tensor(mine, dtype=other.dtype), other, rtol=1e-4, atol=1e-4)


class Odd(nn.BatchNorm2d):
    """One that computes in a way of its own, as far as anybody knows."""


def test_parameters_stay_the_same_objects_and_evaluation_as_it_was() -> None:
    net = normalised_net().eval()
    net(images_of(2))
    before, names = list(net.parameters()), list(net.state_dict())
    out = net(images_of(3))
    synchronise_batchnorm(net)
    assert [type(net[1]), type(net[4])] == [SyncedBatchNorm, SyncedBatchNorm]
    assert all(a is b for a, b in zip(net.parameters(), before, strict=True))
    assert list(net.state_dict()) == names
    assert torch.equal(net(images_of(3)), out)
    net.train()
    one = net(images_of(3))  # alone it is torch's
    net = normalised_net()
    net(images_of(2))
    assert torch.equal(net.train()(images_of(3)), one)


def test_timms_kind_keeps_its_activation_and_one_layer_in_two_places_stays_one() -> None:
    import wilss._torchvision  # noqa: F401

    from timm.layers import BatchNormAct2d

    layer = BatchNormAct2d(4, inplace=False)
    net = nn.ModuleDict({"a": nn.Sequential(layer), "b": nn.Sequential(layer)}).eval()
    names, out = list(net.state_dict()), layer(images_of(2)[:, [0, 1, 2, 0]])
    synchronise_batchnorm(net)
    made = net["a"][0]  # type: ignore[index]
    assert isinstance(made, SyncedBatchNormAct)
    assert net["b"][0] is made  # type: ignore[index]
    assert list(net.state_dict()) == names
    assert torch.equal(made(images_of(2)[:, [0, 1, 2, 0]]), out)


def test_another_kind_is_refused() -> None:
    with pytest.raises(SpecError, match="the network has a Odd, whose statistics several devices cannot share; take"):
        synchronise_batchnorm(nn.Sequential(Odd(3)))
