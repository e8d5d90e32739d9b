"""README.md, CONTRIBUTING.md, CHANGELOG.md and docs/: their links, commands, options, Python code and figures hold."""

import importlib.util
import re
import shlex
from statistics import mean, stdev

import pytest

from smallvit import limits
from smallvit.cli import COMMANDS, build_parser
from smallvit.cli.invocation import SCRIPTS, Invocation
from smallvit.config import PRESETS, VARIANTS
from smallvit.report.published_results import read_results
from tests.server import ROOT

DOCUMENTS = [ROOT / name for name in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md")] + sorted(ROOT.glob("docs/*.md"))
TEXTS = {path.relative_to(ROOT).as_posix(): path.read_text(encoding="utf-8") for path in DOCUMENTS}


def blocks(text, language):
    """The contents of the fenced blocks of a language."""
    return re.findall(rf"^```{language}\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)


def inline_code(text):
    """What stands between backticks outside fenced blocks."""
    return re.findall(r"`([^`\n]+)`", re.sub(r"^```.*?^```$", "", text, flags=re.MULTILINE | re.DOTALL))


def commands(text):
    """The words of each command that starts a Python program of this project, without `python` and variables.

    Generated tables are left out: they state what was typed at an earlier commit.
    """
    text = re.sub(r"^<!-- [\w ]+: made by .*?^<!-- end of", "", text, flags=re.MULTILINE | re.DOTALL)
    lines = [line for block in blocks(text, "sh") for line in block.splitlines()]
    for line in lines + inline_code(text):
        for command in line.split("&&"):
            words = shlex.split(command, comments=True)
            while words and re.fullmatch(r"[A-Z_]+=.*", words[0]):
                words = words[1:]
            if words[:3] == ["python", "-m", "smallvit"]:
                words = words[2:]
            if len(words) > 1 and words[0] in ("python", "smallvit"):
                yield words[words[0] == "python" :]


def slug(heading):
    """The anchor that GitHub gives a heading."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


@pytest.mark.parametrize("name", TEXTS)
def test_every_link_leads_to_a_file_and_a_heading(name):
    for target, anchor in re.findall(r"\]\((?!https?:)([^)#]*)#?([^)]*)\)", TEXTS[name]):
        path = (ROOT / name).parent / target if target else ROOT / name
        assert path.exists(), target
        if anchor:
            headings = re.findall(r"^#+ (.+)$", path.read_text(encoding="utf-8"), re.MULTILINE)
            assert anchor in map(slug, headings), f"{target}#{anchor}"


@pytest.mark.parametrize("name", TEXTS)
def test_every_command_is_understood(name):
    parsers = {script: build_parser(Invocation.of(script)) for script in SCRIPTS} | {"smallvit": build_parser()}
    for program, *arguments in commands(TEXTS[name]):
        if program in parsers:
            is_name = len(arguments) == 1 and arguments[0] in COMMANDS  # of a command, in a sentence
            if not is_name and not {"--help", "--version"} & set(arguments):
                parsers[program].parse_args(["laptop" if word == "NAME" else word for word in arguments])
        else:
            assert program == "-m", program
            assert importlib.util.find_spec(arguments[0]), arguments[0]


def test_the_commands_in_records_are_understood():
    for result in read_results():
        python, script, *arguments = shlex.split(result.command)
        assert (python, script) == ("python", "train.py")
        build_parser(Invocation.of("train.py")).parse_args(arguments)


def test_every_option_in_the_text_exists():
    (commands,) = build_parser()._subparsers._group_actions
    assert list(commands.choices) == list(COMMANDS)
    known = {option for parser in commands.choices.values() for option in parser._option_string_actions}
    known |= {"--per-class"}  # of studies.write_data_sets
    for name, text in TEXTS.items():
        options = {code.split()[0].partition("=")[0] for code in inline_code(text) if code.startswith("--")}
        if name == "CHANGELOG.md":
            options -= set(re.findall(r"`(--[\w-]+)[ `]", text.partition("Removed:")[2].partition("Fixed:")[0]))
        assert options <= known, name


def test_the_model_examples_run(monkeypatch, capsys):
    labels, _, keras, _ = blocks(TEXTS["docs/python.md"], "python")
    monkeypatch.chdir(ROOT)
    exec(compile(labels, "docs/python.md", "exec"), {})
    assert [line.split()[0] for line in capsys.readouterr().out.splitlines()] == ["lion", "rocket"]
    exec(compile(keras, "docs/python.md", "exec"), {})
    answer, shapes = capsys.readouterr().out.splitlines()[:2]
    assert answer == "lion"
    assert shapes.startswith("(1, 5, 32, 32, 3) (1, 6, 4, 64, 64)")


@pytest.mark.parametrize("name", TEXTS)
def test_all_python_code_compiles(name):
    for code in blocks(TEXTS[name], "python"):
        compile(code, name, "exec")


def test_presets_and_variants_have_a_row_each():
    rows = re.findall(r"^\| `([\w-]+)`", TEXTS["docs/training.md"], re.MULTILINE)
    assert sorted(rows) == sorted(PRESETS)
    assert re.findall(r"^\| `([\w-]+)`", TEXTS["docs/how-it-works.md"], re.MULTILINE) == list(VARIANTS)


def test_the_layout_lists_every_room():
    package = ROOT / "smallvit"
    rooms = {path.name for path in package.glob("*.py")} - {"__init__.py"}
    rooms |= {f"{path.parent.name}/" for path in package.glob("*/__init__.py")}
    assert rooms <= set(re.findall(r"`smallvit/([\w.]+/?)`", TEXTS["CONTRIBUTING.md"]))


ROWS = {
    "CIFAR-100": "CIFAR-100",
    "cifar100-100": "CIFAR-100, 100 images per class",
    "cifar100-50": "CIFAR-100, 50 images per class",
    "digits": "scikit-learn's digits, 8 x 8 pixels",
}


def test_the_readme_states_the_recorded_results():
    results = read_results()
    for data, title in ROWS.items():
        cells = []
        for variant in ("vit", "spt_lsa"):
            group = [result for result in results if (result.data, result.variant) == (data, variant)]
            top1 = [result.test["top1"] for result in group]
            cells.append(f"{mean(top1):.2%} ± {stdev(top1):.2%}".replace("%", ""))
        row = f"| {title} | {group[0].num_train:,} | {len(group)} | {' | '.join(cells)} |"
        assert row in TEXTS["README.md"].splitlines()


def test_the_readme_is_short():
    assert len(TEXTS["README.md"].splitlines()) <= 150


@pytest.mark.parametrize(
    "sentence",
    [
        f"| size of a file | {limits.MAX_IMAGE_BYTES >> 20} MB |",
        f"| pixels | {limits.MAX_PIXELS // 1_000_000} million |",
        "WebP or AVIF | {WEBP} or {AVIF} million".format(
            **{name: count // 1_000_000 for name, count in limits.MAX_PIXELS_OF_FORMAT.items()}
        ),
        f"| CPU time | {limits.UNTRUSTED_DECODING.cpu_seconds} s |",
        f"| wall-clock time | {limits.UNTRUSTED_DECODING.wall_seconds} s |",
        f"at rest | {limits.UNTRUSTED_DECODING.memory_bytes // 1_000_000} MB |",
        f"up to {limits.QUICK_DECODING.cpu_seconds} s of CPU time and {limits.QUICK_DECODING.wall_seconds} s in all",
        f"It waits {limits.SLOW_QUEUE_SECONDS} s at most",
        f"{limits.TRUSTED_DECODING.cpu_seconds} s of CPU time, {limits.TRUSTED_DECODING.wall_seconds} s in all, "
        f"{limits.TRUSTED_DECODING.memory_bytes >> 30} GB, files of {limits.MAX_TRUSTED_IMAGE_BYTES >> 20} MB",
        f"{limits.DOWNLOAD_SECONDS} seconds and {limits.MAX_IMAGE_BYTES >> 20} MB for everything",
        f"{limits.MAX_RUNNING_REQUESTS} requests run at once",
        f"at most {limits.MAX_WAITING_REQUESTS} wait",
        f"at most {limits.MAX_BODY_BYTES >> 20} MB",
        f"a frame of the webcam {limits.MAX_FRAME_CHARACTERS:,} characters; "
        f"a request of the page {limits.MAX_MODELS_PER_REQUEST} models",
        f"multiply tau by {limits.MIN_TAU_FACTOR} to {limits.MAX_TAU_FACTOR:.0f}",
        f"| `model.weights.h5` | {limits.MAX_MODEL_FILE_BYTES['model.weights.h5'] >> 20} MB |",
        f"| examples | {limits.MAX_EXAMPLES} |",
        f"| stored image | {limits.MAX_DATA_IMAGE_SIZE} pixels a side |",
        f"| layers x heads x tokens squared | {round(limits.MAX_ATTENTION_VALUES / 1e6)} million |",
        f"in the weights | {limits.MAX_HDF5_OBJECTS:,} |",
        f"a temporary folder, at most {limits.MAX_ARCHIVE_BYTES >> 30} GB",
        f"`.npz` file may have {limits.MAX_NPZ_BYTES >> 30} GB",
    ],
)
def test_the_limits_are_those_of_the_code(sentence):
    assert sentence in " ".join(TEXTS["docs/security.md"].split())
