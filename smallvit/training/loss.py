"""What a training minimises, and how it weights the classes."""

from typing import Any

import numpy as np
from keras import ops


def loss_and_metrics(
    targets: Any, logits: Any, class_weights: Any | None = None, label_smoothing: float = 0.0
) -> tuple[Any, Any]:
    """The mean loss of a batch, and [loss, top-1 hits, top-5 hits] summed over it.

    The loss is the cross-entropy to the smoothed targets. With smoothing it does not reach 0.

    For a mixed image, a hit is the class with the largest share. With class weights, the loss of an image is multiplied
    by the weight of its class; for a mixed image, by the weights of its classes in their shares.

    Args:
        targets: [B, K], the share of each class; each row sums to 1.
        logits: [B, K].
        class_weights: [K], see `class_weights`; None weights all classes alike.
        label_smoothing: share of the targets that is spread over all classes, [0, 1).

    Returns:
        (scalar, [3]).
    """
    smoothed = targets * (1 - label_smoothing) + label_smoothing / targets.shape[-1]
    losses = ops.categorical_crossentropy(smoothed, logits, from_logits=True)
    if class_weights is not None:
        losses = losses * ops.matmul(targets, class_weights)
    own_logit = ops.take_along_axis(logits, ops.argmax(targets, axis=1)[:, None], axis=1)
    rank = logits.shape[-1] - ops.sum(ops.cast(own_logit >= logits, "int32"), axis=1)  # NaN ranks last
    hits = [ops.sum(ops.cast(rank < k, "float32")) for k in (1, 5)]
    return ops.mean(losses), ops.stack([ops.sum(losses), *hits])


def class_weights(labels: np.ndarray, num_classes: int) -> np.ndarray:
    """Weights with which all classes count alike: n / (K m) for a class with m of n images, K classes having images.

    Args:
        labels: int [n].
        num_classes: number of weights.

    Returns:
        float32 [num_classes]. The mean over the images is 1. A class without images has the weight 0.

    Reference: King and Zeng, "Logistic Regression in Rare Events Data", 2001; scikit-learn calls it "balanced".
    """
    counts = np.bincount(labels, minlength=num_classes)
    total = len(labels) / np.count_nonzero(counts)
    return np.divide(total, counts, out=np.zeros(num_classes), where=counts > 0).astype(np.float32)
