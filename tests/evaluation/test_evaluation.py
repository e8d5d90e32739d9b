"""The top answer, and when a model counts as unsure of it; the metrics of a split."""

import numpy as np
import pytest
from keras import ops

from smallvit.evaluation import predict as evaluation
from smallvit.evaluation.calibration import expected_calibration_error
from smallvit.evaluation.metrics import balanced_accuracy, compute_metrics, top1_predictions, unsure_threshold
from smallvit.evaluation.predict import compile_prediction, evaluate
from tests import tiny


def predictions(probabilities, right):
    """Logits [n, 4] whose top probability is as given, and labels that are right or wrong."""
    probabilities, count = np.array(probabilities), len(probabilities)
    top = np.arange(count) % 4
    shares = np.repeat((1 - probabilities[:, None]) / 3, 4, axis=1)
    shares[np.arange(count), top] = probabilities
    return np.log(shares), np.where(right, top, (top + 1) % 4)


def test_one_right_answer_in_twenty_falls_below_the_threshold_and_wrong_answers_do_not_count(rng):
    probabilities = rng.permutation(np.linspace(0.4, 0.9, 60))
    threshold = unsure_threshold(*predictions([*probabilities, 0.3, 0.99, 0.35], [True] * 60 + [False] * 3))
    assert np.sum(probabilities < threshold) == 3
    # The 5th percentile of 60 is at 0.05 * 59 = 2.95 of the way from the lowest.
    assert threshold == pytest.approx(0.4 + 2.95 * 0.5 / 59)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_logits_of_any_size_will_do(dtype):
    logits = np.array([[2000, 0, -2000], [-1000, -1000, -3000]], dtype)
    assert unsure_threshold(logits[:1], np.array([0])) == 1.0
    assert unsure_threshold(logits[1:], np.array([0])) == 0.5


def test_a_model_that_is_never_right_is_never_unsure():
    logits, labels = predictions([0.4, 0.9], False)
    assert unsure_threshold(logits, labels) == 0.0
    assert unsure_threshold(np.full((2, 4), np.nan), labels) == 0.0


def test_the_calibration_error_by_hand():
    """Two bins of three and two images, however wide: 0.3, 0.4 and 0.45, of which one is right, and 0.5 and 0.9."""
    confidence, correct = np.array([0.9, 0.4, 0.3, 0.5, 0.45]), np.array([True, False, True, True, False])
    low = abs(1 / 3 - (0.3 + 0.4 + 0.45) / 3)
    high = abs(2 / 2 - (0.5 + 0.9) / 2)
    expected = 3 / 5 * low + 2 / 5 * high
    assert expected == pytest.approx(0.15)
    assert expected_calibration_error(confidence, correct, num_bins=2) == pytest.approx(expected)
    assert expected_calibration_error(np.full(8, 0.75), np.zeros(8, bool)) == pytest.approx(0.75)  # 15 bins, 8 images


def test_a_tie_is_answered_as_the_metrics_count_it():
    """The logits of a bfloat16 model often tie."""
    logits, labels = np.array([[2.0, 2.0, 1.0]] * 3), np.arange(3)
    predicted, confidence = top1_predictions(logits, labels)
    assert predicted.tolist() == [0, 1, 0]
    assert compute_metrics(logits, labels)["top1"] == pytest.approx(2 / 3)
    assert confidence == pytest.approx(np.e / (2 * np.e + 1))


def test_evaluation_counts_every_image_once(monkeypatch):
    monkeypatch.setattr(evaluation, "prediction_batch_size", lambda: 5)
    model = tiny.build("vit")
    predict = compile_prediction(model, xla=False)
    for count in (1, 5, 6, 11):
        images, sizes = tiny.split(count, seed=4), set()
        expected = tiny.metrics(ops.convert_to_numpy(model(images.images)), images.labels)
        got = evaluate(lambda images, sizes=sizes: sizes.add(len(images)) or predict(images), images)
        assert sizes == {min(count, 5)}  # each would be compiled for itself
        assert {name: got[name] for name in expected} == pytest.approx(expected, abs=1e-5)


def test_the_balanced_accuracy_is_the_mean_of_the_recalls():
    """Of classes 0, 2 and 3: 2 of 4, 1 of 1 and 1 of 2 right. Class 1 has no images."""
    labels = np.array([0, 0, 0, 0, 2, 3, 3])
    assert balanced_accuracy(np.array([1, 1, 0, 0, 1, 1, 0], bool), labels) == pytest.approx((0.5 + 1 + 0.5) / 3)


def test_a_prediction_that_is_no_number_is_wrong():
    found = evaluate(lambda images: np.full((len(images), 7), np.nan), tiny.split(11, seed=2))
    assert (found["top1"], found["top5"]) == (0, 0)
