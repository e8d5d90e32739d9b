"""A model in the formats of other runtimes: ONNX, LiteRT, SavedModel. Keras writes them with `Model.export`."""

import contextlib
import importlib.util
import logging
import shutil
import tempfile
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import keras
import numpy as np

from smallvit import files
from smallvit.errors import UserError, error_reason, write_error_as_user_error
from smallvit.files import atomic_file, atomic_folder
from smallvit.images import load_square, resize_square
from smallvit.model import VisionTransformer
from smallvit.model_folder.folder import ModelFolder

NUM_CHECKED = 10  # images on which an exported file is compared with the model
TOLERANCE = 1e-3  # of logits, which differ by 1 to 20

log = logging.getLogger(__name__)


def _run_onnx(path: Path, images: np.ndarray) -> np.ndarray:
    import onnxruntime

    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    return session.run(None, {"images": images})[0]


def _run_litert(path: Path, images: np.ndarray) -> np.ndarray:
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(str(path))
    index = interpreter.get_input_details()[0]["index"]
    interpreter.resize_tensor_input(index, images.shape)
    interpreter.allocate_tensors()
    interpreter.set_tensor(index, images)
    interpreter.invoke()
    return interpreter.get_tensor(interpreter.get_output_details()[0]["index"])


def _run_saved_model(path: Path, images: np.ndarray) -> np.ndarray:
    import tensorflow as tf

    loaded = tf.saved_model.load(str(path))
    return loaded.serve(images).numpy()


class Format(NamedTuple):
    """A format of exported models.

    Attributes:
        keras_name: as `Model.export` calls it.
        suffix: of the exported file; "" for a folder.
        writers: {module that writing needs: package}.
        runtime: (module, package) that runs the file.
        run: (path, uint8 [n, S, S, 3]) -> logits [n, K], by the runtime.
    """

    keras_name: str
    suffix: str
    writers: dict[str, str]
    runtime: tuple[str, str]
    run: Callable[[Path, np.ndarray], np.ndarray]


FORMATS = {
    "onnx": Format("onnx", ".onnx", {"tf2onnx": "tf2onnx", "onnx": "onnx"}, ("onnxruntime", "onnxruntime"), _run_onnx),
    "litert": Format("litert", ".tflite", {}, ("ai_edge_litert", "ai-edge-litert"), _run_litert),
    "saved_model": Format("tf_saved_model", "", {}, ("tensorflow", "tensorflow"), _run_saved_model),
}


def export_model(folder: ModelFolder, format_name: str, path: Path) -> None:
    """Export a model, check the exported file, and write it whole or not at all.

    The exported model takes images, uint8 [n, S, S, 3], 0-255, S = `record.data_image_size`, and returns logits
    [n, K]. It resizes and normalises as the model does.

    Args:
        folder: a verified `ModelFolder`.
        format_name: a key of `FORMATS`.
        path: the file to write or replace; for "saved_model" a folder that does not exist.

    Raises:
        UserError: a package is missing, Keras does not run on TensorFlow, the exported file gives other answers than
            the model, or something cannot be written.
    """
    chosen = FORMATS[format_name]
    _require_packages(format_name, chosen)
    is_folder = not chosen.suffix
    if is_folder and path.exists():
        raise UserError(f"--output {path} is already there; give a folder that does not exist yet.")
    if not is_folder and path.is_dir():
        raise UserError(f"--output {path} is a folder; give the name of a file, such as model{chosen.suffix}.")
    model, side = folder.load_model(), folder.record.data_image_size
    with tempfile.TemporaryDirectory() as temporary, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the converters, about themselves
        exported = Path(temporary, f"model{chosen.suffix}")
        signature = [keras.InputSpec(shape=(None, side, side, 3), dtype="uint8", name="images")]
        try:
            model.export(exported, format=chosen.keras_name, verbose=False, input_signature=signature)
        except Exception as error:  # TensorFlow and ONNX have errors of their own for a full disk
            raise UserError(
                f"The model could not be exported ({error_reason(error)}); the folder for temporary "
                f"files is {tempfile.gettempdir()}: if it is full, make room, or set TMPDIR to another folder."
            ) from error
        _check(chosen, exported, model, _check_images(folder, side))
        with write_error_as_user_error(f"--output {path}"):
            if is_folder:
                with atomic_folder(path) as partial:
                    shutil.copytree(exported, partial, dirs_exist_ok=True)
            else:
                with atomic_file(path) as partial:
                    shutil.copyfile(exported, partial)
    log.info("written to %s: images uint8 [n, %d, %d, 3] -> logits [n, %d]", path, side, side, model.config.num_classes)


def _require_packages(format_name: str, chosen: Format) -> None:
    if keras.backend.backend() != "tensorflow":
        raise UserError(
            f"--format {format_name} needs TensorFlow; Keras runs on {keras.backend.backend()}: pip install "
            "tensorflow, then set KERAS_BACKEND=tensorflow."
        )
    missing = [package for module, package in chosen.writers.items() if importlib.util.find_spec(module) is None]
    if missing:
        packages = [*chosen.writers.values(), chosen.runtime[1]]
        raise UserError(f"--format {format_name} needs {' and '.join(missing)}; run pip install {' '.join(packages)}.")


def _check_images(folder: ModelFolder, side: int) -> np.ndarray:
    """`NUM_CHECKED` images: examples of the folder and of the project, upright and turned: uint8 [n, S, S, 3]."""
    paths = [*folder.examples, *sorted(files.EXAMPLE_IMAGES.glob("*.jpg"))]
    squares = []
    for path in paths[:NUM_CHECKED]:
        with contextlib.suppress(UserError):
            squares.append(resize_square(load_square(path), side))
    turned = [np.rot90(square, turns) for turns in range(4) for square in squares]
    return np.stack(turned[:NUM_CHECKED])


def _check(chosen: Format, exported: Path, model: VisionTransformer, images: np.ndarray) -> None:
    """Raise `UserError` if the exported file gives other logits than the model, where its runtime is installed."""
    module, package = chosen.runtime
    if importlib.util.find_spec(module) is None:
        log.warning("Not checked, because its runtime is not installed: pip install %s", package)
        return
    expected: Any = keras.ops.convert_to_numpy(model(images))
    found = chosen.run(exported, images)
    difference = float(np.abs(found - expected).max())
    if not difference <= TOLERANCE:
        raise UserError(
            f"The exported model gives other answers: logits differ by up to {difference:.3g}, and {TOLERANCE:g} is "
            "the most that rounding explains. Nothing was written."
        )
    log.info("checked with %s: the same answers on %d images (logits differ by %.1e)", package, len(images), difference)
