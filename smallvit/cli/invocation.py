"""How the user started the program: what messages begin with, and how a printed command begins."""

import sys
from pathlib import Path
from typing import NamedTuple, Self


class Invocation(NamedTuple):
    """How the user started the program.

    Attributes:
        script: "train.py" or "app.py", each of which is one command; None for `smallvit` and `python -m smallvit`.
        program: the words that start any command: `["smallvit"]` or `["python", "-m", "smallvit"]`.
    """

    script: str | None
    program: list[str]

    @classmethod
    def of(cls, script: str | None = None) -> Self:
        """The invocation of this process; `script` is the file beside the package that was started, if it is one."""
        return cls(script, ["smallvit"] if Path(sys.argv[0]).stem == "smallvit" else ["python", "-m", "smallvit"])

    @property
    def name(self) -> str:
        """What usage and messages begin with."""
        return self.script or " ".join(self.program)

    def command_prefix(self, command: str) -> list[str]:
        """The words that start a command: `["smallvit", "train"]`, or `["python", "train.py"]` if it was started so."""
        if self.script and command == SCRIPTS[self.script]:
            return ["python", self.script]
        return [*self.program, command]


SCRIPTS = {"train.py": "train", "app.py": "serve"}
"""{file beside the package: its command}."""
