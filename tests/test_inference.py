"""One picture through a model folder: the numbers are those of the model."""

import numpy as np
import pytest
from keras import ops

from smallvit.errors import UserError
from smallvit.inference import Classifier
from smallvit.tokenization import SHIFT_NAMES
from tests import tiny


@pytest.fixture(scope="module")
def loaded(tmp_path_factory):
    """{variant: (classifier, the model it was made from)}."""
    folder = tmp_path_factory.mktemp("models")
    models = {variant: tiny.write_folder(folder / variant, variant) for variant in ("vit", "spt_lsa")}
    return {variant: (Classifier.from_path(folder / variant), model) for variant, model in models.items()}


@pytest.fixture
def picture(rng):
    return rng.integers(0, 256, (32, 32, 3), np.uint8)


@pytest.mark.parametrize("variant", ["vit", "spt_lsa"])
def test_probabilities_and_attention_are_the_models(loaded, variant, picture):
    classifier, model = loaded[variant]
    result = classifier.classify(picture)
    expected = ops.convert_to_numpy(ops.softmax(model(picture[None])))[0]
    np.testing.assert_allclose(result.probabilities, expected, atol=1e-6)
    assert result.probabilities.sum() == pytest.approx(1)
    assert result.attention.shape == (3, 2, 9, 9)
    np.testing.assert_allclose(result.attention.sum(axis=-1), 1, atol=1e-5)
    assert result.image.shape == (12, 12, 3)
    assert result.image.dtype == np.uint8


def test_shifted_images_are_moved_by_half_a_patch(loaded, picture):
    result = loaded["spt_lsa"][0].classify(picture)
    assert result.shifted_images.shape == (len(SHIFT_NAMES), 12, 12, 3)
    original = result.shifted_images[0].astype(int)
    np.testing.assert_array_equal(original, result.image)
    for name, (down, right) in {"LEFT-UP": (-2, -2), "RIGHT-DOWN": (2, 2), "LEFT-DOWN": (2, -2)}.items():
        moved = result.shifted_images[SHIFT_NAMES.index(name)].astype(int)
        inner = moved[2 + down : 10 + down, 2 + right : 10 + right]
        np.testing.assert_allclose(inner, original[2:10, 2:10], atol=1)
    # The vacated edge is zero after normalisation: the mean colour of the training pictures.
    edge = result.shifted_images[SHIFT_NAMES.index("RIGHT-DOWN")][:2].reshape(-1, 3)
    np.testing.assert_allclose(edge, np.tile(255 * np.array(tiny.MODEL.pixel_mean), (24, 1)), atol=0.51)


def test_a_plain_model_has_its_picture_only(loaded, picture):
    result = loaded["vit"][0].classify(picture)
    assert result.shifted_images.shape == (1, 12, 12, 3)


def test_temperatures(loaded):
    classifier, model = loaded["spt_lsa"]
    np.testing.assert_array_equal(classifier.tau, model.taus())
    assert classifier.tau.shape == (3, 2)
    np.testing.assert_allclose(loaded["vit"][0].tau, np.full((3, 1), 5**0.5), atol=1e-6)


def test_the_most_probable_classes_in_words(loaded):
    classifier = loaded["vit"][0]
    probabilities = np.array([0.1, 0.4, 0.05, 0.05, 0.25, 0.1, 0.05])
    assert list(classifier.top(probabilities, 4).items()) == [
        ("aquarium fish", 0.4),
        ("beaver", 0.25),
        ("apple", 0.1),
        ("bed", 0.1),
    ]


def test_huge_logits_do_not_overflow(tmp_path, picture):
    tiny.write_folder(tmp_path / "m", "vit")
    classifier = Classifier.from_path(tmp_path / "m")
    forward = classifier._forward
    classifier._forward = lambda images: (*forward(images)[:-1], ops.convert_to_tensor([[1e4, 0, 0, 0, 0, 0, 0.0]]))
    assert classifier.classify(picture).probabilities.tolist() == [1, 0, 0, 0, 0, 0, 0]


def test_a_damaged_folder_is_refused(tmp_path):
    tiny.write_folder(tmp_path / "m", "vit")
    (tmp_path / "m" / "model.weights.h5").write_bytes(b"")
    with pytest.raises(UserError, match="is damaged"):
        Classifier.from_path(tmp_path / "m")
