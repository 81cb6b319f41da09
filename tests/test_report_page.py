"""The page of a report: whole, self-contained, and hostile texts in it are only texts."""

import base64
import hashlib
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from classifier.errors import DependencyError, OptionError, OutputFileError
from classifier.report import ReportOptions, palette, report_files
from classifier.report.charts import kind_chart
from classifier.report.drawing import axis_names, draw
from classifier.report.samples import SHOWN_CHARACTERS, STRIP_CELLS, pieces_of, strip_of
from tests.cli_runner import CommandLine
from tests.scored_files import failed_row, plain_row, scored_row, write_parquet, write_scored_lines

HOSTILE = "</script><script>alert(1)</script><img src=x onerror=alert(2)> & {{ 7*7 }} \u202e\u0000 &amp;"


class Page(HTMLParser):
    """A page taken apart: elements with their attributes, and the texts of each kind of element."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.texts: dict[str, list[str]] = {}
        self._open = "html"
        self.source = path.read_bytes().decode("utf-8")
        self.feed(self.source)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        self._open = tag

    def handle_data(self, data: str) -> None:
        self.texts.setdefault(self._open, []).append(data)

    @property
    def text(self) -> str:
        return "".join(part for tag, parts in self.texts.items() if tag != "script" for part in parts)

    def of(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.elements if name == tag]


@pytest.fixture
def branching(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> CommandLine:
    return CommandLine(monkeypatch, capfd)


def page_of(path: Path, **options: Any) -> Page:
    output = path.with_suffix(".html")
    report_files([str(path)], str(output), ReportOptions(overwrite=True, **options))
    return Page(output)


def some_rows(count: int = 12, **columns: Any) -> list[dict[str, Any]]:
    return [
        scored_row(
            [
                (f"Step one of {number}.", 0.02, "convergent"),
                (
                    f"No, {number} is wrong.",
                    number / count,
                    "backtrack" if number / count >= 0.5 else "convergent",
                ),
            ],
            id=f"row-{number}",
            source="ab"[number % 2],
            **columns,
        )
        for number in range(count)
    ]


def test_page_shows_rows_and_figures(tmp_path: Path) -> None:
    page = page_of(write_parquet(tmp_path / "scored.parquet", [*some_rows(), failed_row("empty: nothing")]))
    assert "Branching in scored.parquet" in page.text
    assert "Scored by fake 1 (fp32, SHA-256 aaaaaaaaaaaa…)." in page.text
    assert "1 row without a score" in page.text
    assert "branching filter" in page.text
    assert "backtrack 0.92" in page.text
    assert "row-11" in page.text
    assert len(page.of("svg")) == 7
    for heading in ("Is this just a length filter?", "By source", "The borderline", "The least branching"):
        assert heading in page.text


def test_page_loads_nothing_and_runs_only_its_own_script(tmp_path: Path) -> None:
    page = page_of(write_parquet(tmp_path / "scored.parquet", some_rows()))
    policy = next(one["content"] for one in page.of("meta") if one.get("http-equiv"))
    assert policy is not None
    assert policy.startswith("default-src 'none'; ")
    assert "unsafe" not in policy
    for tag, kind in (("style", "style-src"), ("script", "script-src")):
        content = re.search(f"<{tag}>(.*?)</{tag}>", page.source, re.DOTALL)
        assert content is not None
        digest = base64.b64encode(hashlib.sha256(content[1].encode()).digest()).decode()
        assert f"{kind} 'sha256-{digest}'" in policy
    assert [attributes.get("type") for attributes in page.of("script")] == ["application/json", None]
    for tag, attributes in page.elements:
        assert tag not in ("link", "img", "iframe", "object", "base", "form")
        assert not {"src", "style", "srcset", "xlink:href"} & attributes.keys(), (tag, attributes)
        assert not [name for name in attributes if name.startswith("on")]
        assert (attributes.get("href") or "#").startswith("#")
    assert not re.search(r"url\(|@import", page.source)


@pytest.mark.parametrize("write", [write_parquet, write_scored_lines])
def test_hostile_texts_are_texts(tmp_path: Path, write: Any) -> None:
    steps = [(HOSTILE, 0.9, "restart"), (f"And {HOSTILE}", 0.1, "convergent")]
    rows = [scored_row(steps, source=HOSTILE, model=f"{HOSTILE}{number}") for number in range(3)]
    rows[2]["branch_error"], rows[2]["branch_rate"] = f"{HOSTILE}: {HOSTILE}", None
    name = "scored.parquet" if write is write_parquet else "scored.jsonl"
    page = page_of(write(tmp_path / name, rows))
    assert len(page.of("script")) == 2
    assert not page.of("img")
    assert "<script>alert(1)</script><img src=x onerror=alert(2)> & {{ 7*7 }}" in page.text
    for _, attributes in page.elements:
        assert not [name for name in attributes if name.startswith("on")]


def test_lone_surrogates_do_not_stop_a_page(tmp_path: Path) -> None:
    rows = [scored_row([("Bad \ud800 half.", 0.2, "convergent")], source="\udfff")]
    page = page_of(write_scored_lines(tmp_path / "scored.jsonl", rows))
    assert "Bad � half." in page.text


def test_rows_without_steps_say_how_to_get_them(tmp_path: Path) -> None:
    page = page_of(write_parquet(tmp_path / "scored.parquet", [plain_row(0.1), plain_row(0.2)]))
    assert "branching score IN -o scored.parquet --steps" in page.text
    assert "One step of a trace." in page.text


def test_files_with_no_rate_or_no_row_have_a_page(tmp_path: Path) -> None:
    failed = page_of(write_parquet(tmp_path / "failed.parquet", [failed_row("empty: nothing")]))
    assert "No row has a branch rate" in failed.text
    (tmp_path / "empty.jsonl").touch()
    assert "No row has a branch rate" in page_of(tmp_path / "empty.jsonl").text


def test_several_traces_in_a_row(tmp_path: Path) -> None:
    row = scored_row([("Ab.", 0.1, "convergent"), ("Cd.", 0.9, "restart")]) | {"generations": ["Ab. Cd."] * 2}
    del row["trace"]
    row["branch_steps"] = row["branch_steps"] * 2
    page = page_of(write_parquet(tmp_path / "scored.parquet", [row]))
    assert "Trace 2 of 2" in page.text
    assert page.text.count("restart 0.90") == 2 * 8


def test_comparison_page(tmp_path: Path) -> None:
    left = write_parquet(
        tmp_path / "left.parquet", [row | {"problem": at} for at, row in enumerate(some_rows())]
    )
    right = write_parquet(
        tmp_path / "right.parquet",
        [
            *(row | {"problem": 11 - at} for at, row in enumerate(some_rows())),
            failed_row("empty: nothing", problem=12),
        ],
    )
    output = tmp_path / "comparison.html"
    report_files([str(left)], str(output), ReportOptions(pair_by="problem"), compare=str(right))
    page = Page(output)
    assert "On the 12 problems in both" in page.text
    # Only the right file has a row without a score; its figures stand under their headings all the same.
    cells = [text for text in page.texts["td"] if text.strip()]
    assert len(cells) == 2 * (len([one for one in page.of("th") if one.get("scope") == "col"]) - 1)
    assert cells[:3] == ["12", "–", "0.239"]
    assert "More branching in right.parquet" in page.text
    assert "problem: 11" in page.text
    assert len(page.of("svg")) == 4


def test_long_traces_are_cut_to_their_branches() -> None:
    texts = [f"Step number {number} goes on and on." for number in range(2000)]
    steps, start = [], 0
    for number, text in enumerate(texts):
        branches = number % 500 == 250
        steps.append(
            {
                "start": start,
                "end": start + len(text),
                "probability": 0.9 if branches else 0.01,
                "kind": "backtrack" if branches else "convergent",
            }
        )
        start += len(text) + 1
    pieces = pieces_of("\n".join(texts), steps)
    assert sum(len(piece.text) for piece in pieces) <= SHOWN_CHARACTERS + 200
    assert sum(piece.kind == "backtrack" for piece in pieces) == 4
    assert pieces[0].text == texts[0]
    assert sum(piece.omitted for piece in pieces) + sum(piece.kind is not None for piece in pieces) == 2000
    strip = strip_of(steps)
    assert len(strip) == STRIP_CELLS
    assert sum(cell.kind == "backtrack" for cell in strip) == 4


def test_pieces_give_the_trace_back() -> None:
    row = scored_row([("One.", 0.1, "convergent"), ("Two.", 0.6, "restart")])
    trace = f"{row['trace']}\n\n"
    pieces = pieces_of(trace, row["branch_steps"])
    assert "".join(piece.text for piece in pieces) == trace
    assert [piece.kind for piece in pieces] == ["convergent", None, "restart", None]


def test_steps_that_do_not_fit_their_trace_are_left_out() -> None:
    row = scored_row([("One.", 0.1, "convergent"), ("Two.", 0.6, "restart")])
    assert [piece.kind for piece in pieces_of("Short", row["branch_steps"])] == [None]
    assert [piece.kind for piece in pieces_of(row["trace"], row["branch_steps"][::-1])] == [None]
    cut = pieces_of("x" * (SHOWN_CHARACTERS + 5), [])
    assert [(len(piece.text), piece.cut) for piece in cut] == [(SHOWN_CHARACTERS, 5)]


def test_pages_of_large_files_stay_small(tmp_path: Path) -> None:
    step = ("One & two < three " * 40, 0.9, "backtrack")
    rows = [
        scored_row([step] * 60, source=f"{'long name ' * 30}{number % 300}", id=number)
        for number in range(400)
    ]
    for number, row in enumerate(rows):
        row["branch_rate"] = number / len(rows)
    path = write_parquet(tmp_path / "scored.parquet", rows)
    size = report_files([str(path)], str(tmp_path / "report.html")).size
    assert size is not None
    assert size < 2_000_000


def test_names_on_an_axis_stay_different() -> None:
    names = axis_names(["a" * 40, "a" * 41, "b"])
    assert len(set(names)) == 3
    assert max(map(len, names)) <= 18


def test_drawings_escape_names() -> None:
    import numpy as np

    drawn = draw(kind_chart(['<b onload="x">&'], np.array([[1, 2, 3, 4]])))
    assert "<b" not in drawn
    assert "&lt;b" in drawn


def test_colours_are_defined_for_light_and_dark() -> None:
    style = palette.css_variables()
    light, dark = style.split("@media (prefers-color-scheme:dark)")
    for kind, shades in palette.KIND_SHADES.items():
        assert f"--kind-{kind}:{shades.light};" in light
        assert f"--kind-{kind}:{shades.dark};" in dark


def test_outputs_that_cannot_be_written(tmp_path: Path) -> None:
    path = write_scored_lines(tmp_path / "scored.jsonl", [plain_row(0.1)])
    with pytest.raises(OptionError, match=r"ends in \.html"):
        report_files([str(path)], str(tmp_path / "report.pdf"))
    with pytest.raises(OutputFileError, match="there is no folder"):
        report_files([str(path)], str(tmp_path / "nowhere" / "report.html"))
    taken = tmp_path / "taken.html"
    taken.write_text("mine", encoding="utf-8")
    with pytest.raises(OutputFileError, match="give --overwrite"):
        report_files([str(path)], str(taken))
    assert taken.read_text(encoding="utf-8") == "mine"


def test_a_missing_package_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write_scored_lines(tmp_path / "scored.jsonl", [plain_row(0.1)])
    monkeypatch.setattr("classifier.report.run.find_spec", lambda name: None)
    with pytest.raises(DependencyError, match=r"branching-classifier\[report\]"):
        report_files([str(path)], str(tmp_path / "report.html"))


def test_command(branching: CommandLine, tmp_path: Path) -> None:
    path = write_parquet(tmp_path / "scored.parquet", some_rows())
    done = branching(
        "report", path, "-o", tmp_path / "report.html", "--by", "source", "--by", "id", "--keep", "0.8"
    )
    assert done.code == 0, done.stderr
    assert "Report on 12 rows" in done.stderr
    page = Page(tmp_path / "report.html")
    assert "By source, by id" in page.text
    assert next(one for one in page.of("input"))["value"] == "80"
    again = branching("report", path, "-o", tmp_path / "report.html")
    assert again.code == 2
    assert "--overwrite" in again.stderr
