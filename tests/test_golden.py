"""What must not change when code is moved: the answers of the bundled models, and what a seed trains to."""

from dataclasses import replace
from pathlib import Path

import keras
import numpy as np
import pytest

from smallvit import files
from smallvit.images import load_square, resize_square
from smallvit.model_folder.folder import find_model_folders
from smallvit.training.checkpoint import CheckpointFiles
from smallvit.training.fit import fit
from tests import tiny

LOGITS = Path(__file__).parent / "golden" / "bundled-logits.npz"
# The photos whose logits are stored.
EXAMPLES = [files.EXAMPLE_IMAGES / f"{name}.jpg" for name in ("cup", "lion", "motorcycle", "rocket")]
# Of two epochs on TensorFlow: training loss, validation loss, training loss, validation loss.
LOSSES = {
    "adamw": [2.130033493041992, 1.7183821922128983, 1.7422377069791157, 1.6231796969071703],
    "muon": [2.2750884691874185, 2.2103311605805196, 2.0003695686658225, 2.1103740129926942],
}


def test_keras_loads_each_bundled_model_and_its_answers_are_the_same():
    images = np.stack([resize_square(load_square(path), 32) for path in EXAMPLES])
    folders, expected = find_model_folders(files.BUNDLED_MODELS), np.load(LOGITS)
    assert [folder.name for folder in folders] == expected["models"].tolist()
    logits = [keras.ops.convert_to_numpy(keras.saving.load_model(folder)(images)) for folder in folders]
    np.testing.assert_allclose(np.stack(logits), expected["logits"], atol=1e-4)


@pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="each backend draws its own random numbers")
@pytest.mark.parametrize("optimizer", LOSSES)
def test_a_seed_trains_to_the_same_losses(optimizer, train, tmp_path, without_xla):
    recipe, path = replace(tiny.RECIPE, epochs=2, optimizer=optimizer), CheckpointFiles.for_model_folder(tmp_path / "a")
    fitted = fit(tiny.SHALLOW, recipe, train, tiny.split(11, seed=2), path)
    found = [value for epoch in fitted.history for value in (epoch["loss"], epoch["val_loss"])]
    np.testing.assert_allclose(found, LOSSES[optimizer], rtol=2e-5)
