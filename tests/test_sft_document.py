"""docs/sft.md: its tables are the settings of `branching sft`, with their defaults."""

import inspect
import json
import re
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("pydantic", reason="fine-tuning needs the extra sft")

from training.settings import checked_settings
from training.sft_config import SelectionConfig, SftConfig
from training.sft_rows import _ANSWERS, _PROBLEMS

TEXT = (Path(__file__).resolve().parents[1] / "docs" / "sft.md").read_text(encoding="utf-8")


def listed() -> dict[str, list[str]]:
    """Return the default and the meaning that the tables give each setting."""
    tables = re.findall(r"^\| setting \|.*\n\|[-|]+\n((?:\|.*\n)+)", TEXT, re.MULTILINE)
    rows = [re.split(r" \| ", line.strip("| ")) for table in tables for line in table.splitlines()]
    return {cells[0].strip("`"): cells[1:] for cells in rows}


def shown(default: Any) -> str:
    if default is None:
        return "(none)"
    if isinstance(default, str):
        return f"`{json.dumps(default)[1:-1]}`"
    return f"`{default:g}`" if isinstance(default, float) else f"`{json.dumps(default)}`"


def test_every_setting_is_listed_with_its_default() -> None:
    fields = dict(SftConfig.model_fields)
    selection = fields.pop("selection").get_default()
    defaults = {
        name: "(required)" if field.is_required() else shown(field.get_default(call_default_factory=True))
        for name, field in fields.items()
    }
    defaults |= {
        f"selection.{name}": shown(getattr(selection, name)) for name in SelectionConfig.model_fields
    }
    assert {name: cells[0] for name, cells in listed().items()} == defaults
    assert all(cells[1:] for cells in listed().values())


@pytest.mark.parametrize("kind", [SelectionConfig, SftConfig])
def test_every_choice_is_listed(kind: type[SelectionConfig | SftConfig]) -> None:
    prefix = "selection." if kind is SelectionConfig else ""
    for name, field in kind.model_fields.items():
        for choice in getattr(field.annotation, "__args__", ()):
            if isinstance(choice, str):
                assert f"`{choice}`" in listed()[prefix + name][1], name


def test_the_example_of_a_settings_file_is_valid() -> None:
    (example,) = re.findall(r"```json\n(.*?)```", TEXT, re.DOTALL)
    chosen = checked_settings(SftConfig, {"model": "m", "data": ["d"], **json.loads(example)})
    assert chosen.selection.by == "source"


def test_the_columns_of_rows_are_listed() -> None:
    for name in (*_PROBLEMS, *_ANSWERS):
        assert f"`{name}`" in TEXT


def test_what_the_trainer_is_told_is_listed() -> None:
    pytest.importorskip("trl", reason="fine-tuning needs the extra sft")
    from training import sft

    source = inspect.getsource(sft.trainer_arguments)
    (reserved,) = re.findall(r"reserved = \{(.*?)\}", source)
    for name in re.findall(r'"(\w+)"', reserved):
        assert f"`{name}`" in TEXT
    assert '"logging_steps": 10' in source
    assert '"save_total_limit": 1' in source
