"""Which images with masks are kept from a training, to tell from them when it has learnt enough."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence, Set

import torch

from wilss.errors import DataError


def held_out(tags: Sequence[Set[int]], share: float, seed: int) -> tuple[int, ...]:
    """Positions of the images that are held out, ascending; drawn at random.

    Args:
        tags: classes of every image that are learnt. An image whose class would keep less than half of its images is
            passed over, so that fewer may be held out than asked for.
        share: of the images, in (0, 0.5].

    Raises DataError where no image can be spared.
    """
    left = Counter(c for classes in tags for c in classes)
    least = {c: (count + 1) // 2 for c, count in left.items()}
    order = torch.randperm(len(tags), generator=torch.Generator().manual_seed(seed)).tolist()
    chosen: list[int] = []
    for position in order:
        if len(chosen) >= max(1, round(share * len(tags))):
            break
        if all(left[c] > least[c] for c in tags[position]):
            left.subtract(tags[position])
            chosen.append(position)
    if not chosen or len(tags) - len(chosen) < 2:
        raise DataError(
            f"of {len(tags)} images with masks none can be held out, as every class has to keep half of its images; "
            "take --set base.held_out=0 base.patience=0"
        )
    return tuple(sorted(chosen))
