"""One image through a model folder: the numbers are those of the model."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from keras import ops

from smallvit.inference.answer import is_unsure, top_classes
from smallvit.inference.explainer import Explainer
from tests import tiny


@pytest.fixture(scope="module")
def loaded(tmp_path_factory):
    """{variant: (explainer, the model it was made from)}."""
    folder = tmp_path_factory.mktemp("models")
    models = {variant: tiny.write_folder(folder / variant, variant) for variant in ("vit", "spt_lsa")}
    return {variant: (Explainer.from_path(folder / variant), model) for variant, model in models.items()}


@pytest.mark.parametrize("variant", ["vit", "spt_lsa"])
def test_probabilities_and_attention_are_the_models(loaded, variant, image):
    explainer, model = loaded[variant]
    probabilities = explainer.predict(image)
    expected = ops.convert_to_numpy(ops.softmax(model(image[None])))[0]
    np.testing.assert_allclose(probabilities, expected, atol=1e-6)
    assert probabilities.sum() == pytest.approx(1)
    assert 0 < explainer.median_milliseconds() < 60_000
    explanation = explainer.explain(image)
    expected = ops.convert_to_numpy(model.intermediates(image[None]).attention)[0]
    np.testing.assert_allclose(explanation.attention, expected, atol=1e-6)
    assert (explanation.image.shape, explanation.image.dtype) == ((12, 12, 3), np.uint8)


def test_moved_images_are_classified_where_they_lie(loaded, image):
    explainer, model = loaded["spt_lsa"]
    probabilities = explainer.predict_translated(image, 1)
    assert probabilities.shape == (3, 3, 7)
    np.testing.assert_allclose(probabilities[1, 1], explainer.predict(image), atol=1e-6)
    down_left = np.pad(image, ((1, 0), (0, 1), (0, 0)), mode="edge")[:32, 1:]
    expected = ops.convert_to_numpy(ops.softmax(model(down_left[None])))[0]
    np.testing.assert_allclose(probabilities[2, 0], expected, atol=1e-6)


def test_what_is_asked_twice_is_computed_once_also_by_threads(loaded, image):
    explainer = loaded["vit"][0]
    image = 255 - image
    with ThreadPoolExecutor(8) as threads:
        answers = list(threads.map(explainer.predict, [image] * 16))
    assert len({id(answer) for answer in answers}) == 1
    assert explainer.explain(image) is explainer.explain(image.copy())
    assert explainer.predict_translated(image, 1) is not explainer.predict_translated(image, 0)
    assert explainer.predict(255 - image) is not answers[0]


def test_the_most_probable_classes():
    probabilities = np.array([0.1, 0.4, 0.05, 0.05, 0.25, 0.1, 0.05])
    assert top_classes(probabilities, 4) == [(1, 0.4), (4, 0.25), (0, 0.1), (5, 0.1)]


def test_unsure_is_a_top_probability_below_the_records(loaded):
    record = loaded["vit"][0].record
    threshold = record.unsure_below
    rest = (1 - threshold) / 6
    assert not is_unsure(np.array([rest, threshold, *[rest] * 5]), record)
    assert is_unsure(np.full(7, 1 / 7), record) == (threshold > 1 / 7)
    assert is_unsure(np.full(7, np.nextafter(threshold, 0)), record)


def test_huge_logits_do_not_overflow(loaded, image, monkeypatch):
    explainer = loaded["vit"][0]
    logits = np.array([[1e4, 0, 0, 0, 0, 0, 0.0]])
    monkeypatch.setattr(explainer, "_logits", lambda images: ops.convert_to_tensor(logits))
    assert explainer.predict(image // 2).tolist() == [1, 0, 0, 0, 0, 0, 0]
