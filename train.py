"""Train Vision Transformers on CIFAR-100: `python train.py --variant spt_lsa`."""

import argparse
import dataclasses
import logging
import os
import shlex
import sys
from pathlib import Path

from smallvit import __version__
from smallvit.config import DEFAULT_PRESET, PRESETS, VARIANTS, TrainConfig
from smallvit.errors import UserError
from smallvit.runs import train_variants

# Options that override a field of the preset's recipe, with what --help says of each.
RECIPE_OPTIONS = {
    "epochs": "passes over the training pictures",
    "batch_size": "pictures in one step",
    "learning_rate": "the peak of the schedule",
    "validation_split": "share of the training pictures held out, in (0, 1)",
    "seed": "of weights, order, augmentation and stratified split",
}


def build_parser():
    parser = argparse.ArgumentParser(
        prog="train.py",
        description="Train Vision Transformers from scratch on CIFAR-100; each becomes a model folder.",
        epilog=presets_table(),
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument(
        "--variant",
        nargs="+",
        choices=VARIANTS,
        default=["vit", "spt_lsa"],
        metavar="VARIANT",
        help=f"one or several of {', '.join(VARIANTS)} (default: vit spt_lsa)",
    )
    parser.add_argument(
        "--preset", choices=PRESETS, default=DEFAULT_PRESET, help="model and recipe (default: %(default)s)"
    )
    types = {field.name: field.type for field in dataclasses.fields(TrainConfig)}
    for name, text in RECIPE_OPTIONS.items():
        parser.add_argument(f"--{name.replace('_', '-')}", type=types[name], metavar="N", help=f"{text} (see below)")
    parser.add_argument(
        "--data",
        default=os.environ.get("SMALLVIT_DATA") or None,
        metavar="PATH",
        help="CIFAR-100 on disk: the folder cifar-100-python or cifar-100-python.tar.gz "
        "(default: $SMALLVIT_DATA, else Keras downloads it)",
    )
    parser.add_argument(
        "--output-dir",
        type=Path,
        default=Path("runs"),
        metavar="DIR",
        help="where the folders PRESET-VARIANT go (default: %(default)s)",
    )
    parser.add_argument("--resume", action="store_true", help="go on with what was interrupted in --output-dir")
    parser.add_argument(
        "--limit", type=int, metavar="N", help="use the first N pictures of each split only, to try things out"
    )
    parser.add_argument(
        "--precision",
        choices=["float32", "bfloat16"],
        default="float32",
        help="of the activations; weights, softmax and logits stay float32 (default: %(default)s)",
    )
    parser.add_argument("--version", action="version", version=f"smallvit {__version__}")
    return parser


def presets_table():
    """The defaults of the presets, as lines of text."""
    rows = [["preset", *RECIPE_OPTIONS]]
    rows += [
        [name, *(str(getattr(preset.training, field)) for field in RECIPE_OPTIONS)] for name, preset in PRESETS.items()
    ]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = ["defaults by preset:"]
    lines += ["  " + "  ".join(map(str.ljust, row, widths)).rstrip() for row in rows]
    for name, preset in PRESETS.items():
        lines += ["", f"  {name}: {preset.source}.", f"    Top-1 {preset.accuracy}.", f"    {preset.cost}."]
    return "\n".join(lines)


def main(arguments=None):
    """Train what the arguments ask for; return the exit code: 0 done, 2 bad input, 130 interrupted."""
    arguments = sys.argv[1:] if arguments is None else arguments
    options = build_parser().parse_args(arguments)
    # What gives the result from the start: resuming is no part of it.
    command = shlex.join(["python", "train.py", *(word for word in arguments if word != "--resume")])
    logging.basicConfig(format="%(message)s", stream=sys.stdout)
    logging.getLogger("smallvit").setLevel(logging.INFO)
    try:
        train_variants(
            preset=options.preset,
            variants=list(dict.fromkeys(options.variant)),
            overrides={name: getattr(options, name) for name in RECIPE_OPTIONS if getattr(options, name) is not None},
            data=options.data,
            output_dir=options.output_dir,
            resume=options.resume,
            limit=options.limit,
            precision=options.precision,
            command=command,
        )
    except UserError as error:
        print(f"train.py: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print(f"\ntrain.py: interrupted; after the last finished epoch goes on: {command} --resume", file=sys.stderr)
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
