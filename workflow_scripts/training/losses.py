"""What logits mean: the loss that training minimises, and the predicted group."""

import torch
from torch import Tensor, nn


def cross_entropy(logits: Tensor, labels: Tensor, reduction: str = "mean") -> Tensor:
    """Binary cross-entropy of one logit [N, 1], cross-entropy of more [N, C], in nats; labels: int64[N]."""
    if logits.shape[1] == 1:
        return nn.functional.binary_cross_entropy_with_logits(
            logits[:, 0], labels.to(logits.dtype), reduction=reduction
        )
    return nn.functional.cross_entropy(logits, labels, reduction=reduction)


def predictions(logits: Tensor) -> Tensor:
    """Predicted group of each example, uint8[N]: the sign of one logit [N, 1], the largest of more [N, C]."""
    labels = logits[:, 0] > 0 if logits.shape[1] == 1 else logits.argmax(1)
    return labels.to(torch.uint8)
