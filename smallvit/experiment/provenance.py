"""Where a result comes from: command, hardware, commit and versions of the code."""

import datetime
import platform
import subprocess
from importlib.metadata import version
from pathlib import Path
from typing import Any

from smallvit.device import backend
from smallvit.version import __version__


def git_commit() -> str | None:
    """The commit of the running code, with "-dirty" if files differ from it; None outside a checkout."""
    git = ["git", "-C", str(Path(__file__).parent)]
    try:
        commit = subprocess.run([*git, "rev-parse", "HEAD"], capture_output=True, text=True, check=True).stdout.strip()
        status = subprocess.run(
            [*git, "status", "--porcelain", "--untracked-files=no"], capture_output=True, text=True, check=True
        ).stdout
    except (OSError, subprocess.CalledProcessError):
        return None
    return f"{commit}-dirty" if status else commit


def software_versions() -> dict[str, str]:
    """The versions of what computes: this package, Python, Keras, its backend and NumPy."""
    return {
        "smallvit": __version__,
        "python": platform.python_version(),
        "keras": version("keras"),
        "backend": backend.backend_version(),
        "numpy": version("numpy"),
    }


def provenance(command: str, commit: str | None) -> dict[str, Any]:
    """The fields of `RunSummary` that say how a result was produced."""
    return {
        "command": command,
        "hardware": backend.describe_device(),
        "versions": software_versions(),
        "commit": commit,
        "date": datetime.date.today().isoformat(),
    }
