"""Several devices and several processes, as a user starts them; one of them killed for real."""

import signal

import numpy as np
import pytest

import train
from smallvit.model_folder.folder import read_model_folder
from tests import tiny
from tests.server import free_port
from tests.tiny import finish, wait_for


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return tiny.write_release(tmp_path_factory.mktemp("data"), tiny.release_contents(num_train=198, num_test=20))


def start(data, output_dir, *arguments, devices=1):
    """Start `train.py` on JAX with so many virtual devices; batches of 16 and one that cannot be divided by 4.

    What one of the processes has compiled, the next one finds; to make it fast would take longer than to run it.
    """
    options = ["--preset", "tiny", "--variant", "spt_lsa", "--data", data, "--output-dir", output_dir]
    environment = {
        "KERAS_BACKEND": "jax",
        "XLA_FLAGS": f"--xla_force_host_platform_device_count={devices} --xla_backend_optimization_level=0",
        "JAX_COMPILATION_CACHE_DIR": str(data.parent / "compiled"),
        "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
    }
    changes = ["--set", "batch_size=16", "epochs=2", "ema_decay=0.9"]
    return tiny.start_training(*options, *changes, *arguments, **environment)


def together(data, folders, *arguments):
    """Start two processes of one training, each with an output folder of its own."""
    options = ["--coordinator", f"127.0.0.1:{free_port()}", "--processes", 2]
    return [start(data, folder, *options, "--process-id", index, *arguments) for index, folder in enumerate(folders)]


def assert_same_training(folder, other):
    """The same losses to 1e-3, the same accuracies, about the same weights."""
    folder, other = (read_model_folder(path / "tiny-spt_lsa") for path in (folder, other))
    assert len(folder.history) == len(other.history) == 2
    for epoch, expected in zip(folder.history, other.history, strict=True):
        for key in ("loss", "val_loss", "ema_val_loss"):
            assert epoch[key] == pytest.approx(expected[key], abs=1e-3)
    for value, expected in zip(folder.load_model().get_weights(), other.load_model().get_weights(), strict=True):
        np.testing.assert_allclose(value, expected, atol=1e-2)


@pytest.fixture(scope="module")
def single(data, tmp_path_factory):
    """The output folder of a training on one device."""
    folder = tmp_path_factory.mktemp("single")
    code, _, error = finish(start(data, folder))
    assert code == 0, error
    return folder


@pytest.mark.slow
def test_four_devices_train_as_one_and_take_over_what_one_began(data, single, tmp_path):
    code, _, error = finish(start(data, tmp_path, "--time-limit", 0.001))
    assert code == 0, error
    assert (tmp_path / "tiny-spt_lsa.last.npz").exists()
    code, out, error = finish(start(data, tmp_path, "--resume", "--devices", 4, devices=4))
    assert code == 0, error
    assert "resumed after epoch 1 of 2" in out
    assert_same_training(tmp_path, single)


@pytest.mark.slow
def test_two_processes_train_as_one_one_of_them_writes_and_a_killed_one_ends_both(data, single, tmp_path):
    folders = (tmp_path / "first", tmp_path / "second")
    pair = together(data, folders)
    wait_for(pair[0], "epoch 1/2")
    pair[1].send_signal(signal.SIGKILL)
    code, _, _ = finish(pair[0])
    assert code != 0
    # The epoch in the log is in the checkpoint, which only process 0 writes.
    pair = together(data, folders, "--resume")
    (code, out, error), (other_code, _, other_error) = map(finish, pair)
    assert (code, other_code) == (0, 0), error + other_error
    assert "resumed after epoch 1 of 2" in out
    assert_same_training(tmp_path / "first", single)
    assert not (tmp_path / "second").exists()


@pytest.mark.slow
def test_a_killed_coordinator_ends_the_others(data, tmp_path):
    pair = together(data, (tmp_path / "first", tmp_path / "second"))
    wait_for(pair[0], "images for training")
    pair[0].send_signal(signal.SIGKILL)
    assert finish(pair[1])[0] != 0


@pytest.mark.slow
def test_processes_with_different_options_say_so_and_end(data, tmp_path):
    first, second = together(data, (tmp_path / "first", tmp_path / "second"))
    second.kill()
    address = first.args[first.args.index("--coordinator") + 1]
    other = ["--coordinator", address, "--processes", 2, "--process-id", 1, "--learning-rate", 0.5]
    second = start(data, tmp_path, *other)
    _, _, error = finish(second)
    assert "train.py: Process 0 was started with options whose overrides is {'batch_size': 16, 'epochs': 2" in error
    assert "start all processes with the same options" in error
    assert finish(first)[0] != 0


def test_what_does_not_fit_together_ends_in_a_sentence(capsys, monkeypatch):
    monkeypatch.setattr("keras.backend.backend", lambda: "tensorflow")
    for arguments, message in (
        (["--devices", "2"], "--devices needs KERAS_BACKEND=jax; it is tensorflow"),
        (["--coordinator", "localhost:1"], "--process-id and --processes must be given too"),
        (["--coordinator", "localhost", "--processes", "2", "--process-id", "0"], "--coordinator is localhost"),
    ):
        assert train.main(arguments) == 2
        assert capsys.readouterr().err.startswith(f"train.py: {message}")


def test_a_number_of_a_process_out_of_range_is_refused_by_jax(data, tmp_path):
    options = ["--coordinator", "localhost:1", "--processes", 2, "--process-id", 2]
    code, _, error = finish(start(data, tmp_path, *options))
    assert code == 2
    assert "--coordinator localhost:1: the processes could not join (" in error
    assert "process_id=2, num_processes=2" in error


def test_without_jax_it_is_said_what_to_install(capsys, monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    assert train.main(["--devices", "2"]) == 2
    assert '--devices needs JAX: pip install "jax[cuda13]"' in capsys.readouterr().err
