"""The command line: `smallvit COMMAND`, `python -m smallvit COMMAND`, and the entry points `train.py` and `app.py`.

Each file in `COMMANDS` is one command: `SUMMARY`, `LOG_STREAM`, `add_options`, `run`, and `repeat_after_interrupt`
if it can be continued. The other files are shared. What is slow to import is imported by the function that needs it, so
that `--help` answers at once.
"""

import argparse
import io
import logging
import shlex
import sys
from types import ModuleType

from smallvit.cli import evaluate, export, predict, preview, push, serve, train
from smallvit.cli.invocation import SCRIPTS, Invocation
from smallvit.device.environment import require_backend
from smallvit.errors import UserError
from smallvit.version import __version__

COMMANDS: dict[str, ModuleType] = {
    "train": train,
    "evaluate": evaluate,
    "predict": predict,
    "export": export,
    "push": push,
    "serve": serve,
    "preview": preview,
}


def build_parser(invocation: Invocation | None = None) -> argparse.ArgumentParser:
    """The parser of all commands, or of the one command of an entry point such as `train.py`.

    The parsed options have the attribute `command`, a key of `COMMANDS`.
    """
    invocation = invocation or Invocation.of()
    if invocation.script:
        command = SCRIPTS[invocation.script]
        parser = argparse.ArgumentParser(prog=invocation.name, **_settings(command))
        _add_options(parser, command)
        return parser
    parser = argparse.ArgumentParser(
        prog=invocation.name,
        description="Vision Transformers for small data sets: train them on your images, and use them.",
        epilog=f"`{invocation.name} COMMAND --help` lists the options of a command.",
    )
    _add_version(parser)
    commands = parser.add_subparsers(title="commands", dest="command", metavar="COMMAND", required=True)
    for command, module in COMMANDS.items():
        _add_options(commands.add_parser(command, help=module.SUMMARY.rstrip("."), **_settings(command)), command)
    return parser


def _settings(command):
    module = COMMANDS[command]
    return {
        "description": module.SUMMARY,
        "epilog": module.epilog() if hasattr(module, "epilog") else None,
        "formatter_class": argparse.RawDescriptionHelpFormatter,
        "allow_abbrev": False,
        "add_help": False,  # added last: the common options come first
    }


def _add_options(parser, command):
    COMMANDS[command].add_options(parser)
    parser.set_defaults(command=command)
    others = parser.add_argument_group("help")
    others.add_argument("-h", "--help", action="help", help="show this text and exit")
    _add_version(others)


def _add_version(parser):
    parser.add_argument("--version", action="version", version=f"smallvit {__version__}", help="show the version")


def main(arguments: list[str] | None = None, script: str | None = None) -> int:
    """Do what the arguments ask for; return the exit code.

    Args:
        arguments: the words after the program's name; None takes those of the command line.
        script: "train.py" or "app.py", whose command needs no name; None if the arguments name the command.

    Returns:
        0 if all is done, 1 if part of it could not be done (the messages say what), 2 after bad input, 130 after
        Ctrl-C.
    """
    arguments = sys.argv[1:] if arguments is None else arguments
    invocation = Invocation.of(script)
    options = build_parser(invocation).parse_args(arguments)
    command = COMMANDS[options.command]
    name = invocation.name if script else f"{invocation.name} {options.command}"
    # Where the answer itself goes to stdout, what is said about it must not.
    logging.basicConfig(format="%(message)s", stream=getattr(sys, command.LOG_STREAM))
    logging.getLogger("smallvit").setLevel(logging.INFO)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")  # not every console can show every sign
    words = arguments if script else arguments[1:]
    code = 0
    failures: list[str] = []
    try:
        require_backend()
        command.run(options, words, invocation, failures)
    except UserError as error:
        print(f"{name}: {error}", file=sys.stderr)
        code = 2
    except ModuleNotFoundError as error:
        print(f"{name}: The package {error.name} is not installed; run pip install {error.name}.", file=sys.stderr)
        code = 2
    except KeyboardInterrupt:
        repeat = command.repeat_after_interrupt(options) if hasattr(command, "repeat_after_interrupt") else None
        kept = [word for word in words if word != "--resume"]
        print(f"\n{name}: interrupted", end="", file=sys.stderr)
        if repeat:
            purpose, more = repeat
            command_line = shlex.join([*invocation.command_prefix(options.command), *kept, *more])
            print(f"; {purpose}: {command_line}", end="", file=sys.stderr)
        print(file=sys.stderr)
        code = 130
    for failure in failures:
        print(f"{name}: {failure}", file=sys.stderr)
        code = code or 1
    if code and sys.modules.get("jax") is not None:
        from smallvit.device.distribution import exit_if_joined

        exit_if_joined(code)
    return code
