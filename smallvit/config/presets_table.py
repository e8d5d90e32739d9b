"""Compare the presets field by field.

`python -m smallvit.config.presets_table` prints the tables of docs/presets.md.
"""

from collections.abc import Sequence
from dataclasses import fields

from smallvit.config.model import ModelConfig
from smallvit.config.presets import PRESETS, Preset
from smallvit.config.training import TrainConfig


def presets_markdown() -> str:
    """Markdown: a row for every field whose value differs between presets, a column for every preset."""
    rows = []
    for part, kind in (("model", ModelConfig), ("training", TrainConfig)):
        for field in fields(kind):
            values = [getattr(getattr(preset, part), field.name) for preset in PRESETS.values()]
            if len(set(values)) > 1:
                rows.append([f"`{field.name}`", *map(_format_value, values)])
    return _markdown(["", *(f"`{name}`" for name in PRESETS)], rows)


def num_images_table(preset: Preset) -> str:
    """Markdown: a row for every field that follows from the number of training images, a column for every range."""
    base = preset.model.__dict__ | preset.training.__dict__
    rows_of_preset = preset.overrides_by_num_images
    columns = [(f"at most {largest:,} images", base | overrides) for largest, overrides in rows_of_preset]
    columns.append(("more", base))
    names = [name for name in base if len({values[name] for _, values in columns}) > 1]
    rows = [[f"`{name}`", *(_format_value(values[name]) for _, values in columns)] for name in names]
    return _markdown(["", *(title for title, _ in columns)], rows)


def _format_value(value: object) -> str:
    if value is None or value == ():
        return "none"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return ", ".join(map(str, value)) if isinstance(value, tuple) else str(value)


def _markdown(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def main() -> None:
    print(presets_markdown())
    for name, preset in PRESETS.items():
        if preset.overrides_by_num_images:
            print(f"\n`{name}` follows the number of training images:\n\n{num_images_table(preset)}")


if __name__ == "__main__":
    main()
