"""What a user asks of an experiment."""

from dataclasses import dataclass, field
from pathlib import Path

from smallvit.data import Source
from smallvit.hub.upload import Publisher


@dataclass(frozen=True)
class ExperimentOptions:
    """The options of an experiment: some variants, each trained with some seeds, under one recipe.

    Most attributes have the name of their option on the command line.

    Attributes:
        typed_command: the command as the user typed it, for the log.
        repeat_command: the command that repeats the experiment, for the record.
        preset: name in `config.PRESETS`; None takes the default for the data.
        overrides: {field of the preset's `ModelConfig` or `TrainConfig`: value}.
        variant: names in `config.VARIANTS`; None takes `config.DEFAULT_VARIANTS`, or those that `init_from` has.
        init_from: model folder, folder of model folders or Hub model with the initial weights; "none": random weights;
            None takes the bundled models for the user's own images, if they have the architecture of the preset.
        seeds: each variant is trained with this many seeds, beginning with the recipe's.
        data: path of the data, see `data.Source`; None is CIFAR-100.
        image_size: side in pixels to which images are resized; None takes that of the models that
            `init_from` names, else the default of `data.Source`.
        test_split: share of the images for the test split, in (0, 1); None takes the default of `data.Source`.
        strict: whether a source with unreadable files is refused.
        group_by: how images are grouped, see `data.Source`; None has no groups.
        image_column, label_column: of a table or a data set of the Hub; None looks for them.
        folds: number of folds of a cross-validation; None draws one test split.
        limit: number of images of each split to use; None uses all.
        examples: number of test images to put into each model folder.
        output_dir: folder for the model folders and the report; None is `runs`, or `runs/NAME` for custom data.
        resume: whether to continue unfinished runs, and to keep finished ones, in `output_dir`.
        dry_run: whether to stop before the first training.
        hours: hours for all runs together; sets the number of epochs. None leaves the number as it is.
        time_limit: minutes after which no epoch may end, except the first; None has no limit.
        tensorboard: folder for TensorBoard logs; None writes none.
        track: "wandb" or "trackio", which log each epoch; None logs with neither.
        devices: number of devices that share each batch.
        coordinator: HOST:PORT of process 0, if several processes train together.
        process_id: number of this process, from 0.
        processes: number of processes.
        publisher: pushes each model to the Hub; None pushes nothing.
    """

    typed_command: str = ""
    repeat_command: str = ""
    preset: str | None = None
    overrides: dict[str, object] = field(default_factory=dict)
    variant: list[str] | None = None
    init_from: str | None = None
    seeds: int = 1
    data: str | None = None
    image_size: int | None = None
    test_split: float | None = None
    strict: bool = False
    limit: int | None = None
    group_by: str | None = None
    folds: int | None = None
    image_column: str | None = None
    label_column: str | None = None
    examples: int = 0
    output_dir: Path | None = None
    resume: bool = False
    dry_run: bool = False
    hours: float | None = None
    time_limit: float | None = None
    tensorboard: Path | None = None
    track: str | None = None
    devices: int = 1
    coordinator: str | None = None
    process_id: int | None = None
    processes: int | None = None
    publisher: Publisher | None = None

    @property
    def source(self) -> Source:
        """The data, and how to read it."""
        names = [name for name in Source._fields if getattr(self, name, None) is not None]
        return Source(self.data, **{name: getattr(self, name) for name in names})
