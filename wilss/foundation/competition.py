"""From the logits of words to the probabilities of classes: which words compete, and how several stand for one class.

Shape suffixes: N images, W words, C classes (background words at the end included), h and w grid cells.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor


def class_probabilities(
    logits_NWhw: Tensor, sizes: Sequence[int], allowed_NC: Tensor | None = None, denoise: float = 0.0
) -> Tensor:
    """Softmax over words, then each class's best word; ``(N, C, h, w)`` in [0, 1].

    Args:
        sizes: how many of the words each class has, in order; all 1 make it a softmax over classes.
        allowed_NC: bool, classes that compete in each image; the others get 0. None lets all of them.
        denoise: a class that reaches this probability in no cell is taken out of the competition (MaskCLIP's prompt
            denoising), but never the strongest one; 0 leaves it out.
    """
    counts = torch.tensor(list(sizes), device=logits_NWhw.device)
    if allowed_NC is not None:
        logits_NWhw = logits_NWhw.masked_fill(_of_words(~allowed_NC, counts), -torch.inf)
    found = _best(logits_NWhw.softmax(1), sizes)
    if denoise:
        highest = found.amax((2, 3))
        weak = (highest < denoise) & (highest < highest.amax(1, keepdim=True))
        found = _best(logits_NWhw.masked_fill(_of_words(weak, counts), -torch.inf).softmax(1), sizes)
    # where no word is allowed at all, there is no softmax
    return found if allowed_NC is None else found.masked_fill(~allowed_NC[..., None, None], 0)


def _of_words(classes_NC: Tensor, counts: Tensor) -> Tensor:
    return classes_NC.repeat_interleave(counts, 1)[..., None, None]


def _best(words_NWhw: Tensor, sizes: Sequence[int]) -> Tensor:
    if all(size == 1 for size in sizes):
        return words_NWhw
    return torch.stack([part.amax(1) for part in words_NWhw.split(list(sizes), 1)], 1)
