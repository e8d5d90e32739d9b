"""Calibration: whether a model is right as often as the probability of its answer says."""

import numpy as np

NUM_BINS = 15  # as in the reference


def expected_calibration_error(confidence: np.ndarray, correct: np.ndarray, num_bins: int = NUM_BINS) -> float:
    """Compute the expected calibration error: how far the top probability is from the accuracy.

    The images are sorted by their top probability and cut into bins of equally many images. The error is the mean of
    |accuracy - mean top probability| over the bins, weighted by their images.

    Args:
        confidence: float [n], the top probability of each image, in [0, 1].
        correct: bool [n], whether each answer is right.
        num_bins: number of bins. Numbers of images in two bins differ by one at most.

    Returns:
        A share in [0, 1].

    Reference: Guo et al., "On Calibration of Modern Neural Networks", 2017, arXiv 1706.04599, section 2.
    Differs from the paper: its bins have equal width, which leaves nearly all images in few of them. Bins of equally
        many images are those of Nixon et al., "Measuring Calibration in Deep Learning", 2019, arXiv 1904.01685.
    """
    excess = (correct - confidence)[np.argsort(confidence, kind="stable")]
    # For a bin with m images, m |accuracy - mean confidence| is the absolute sum of its differences.
    return float(sum(abs(part.sum()) for part in np.array_split(excess, num_bins)) / len(excess))
