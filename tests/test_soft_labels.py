"""Votes to soft labels, the table of the functions, and the `label` command."""

import json
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
import typer
from rich.console import Console
from typer.testing import CliRunner

from classifier.errors import InputFileError, OptionError, OutputFileError
from classifier.kinds import KINDS
from classifier.steps import split_steps
from tests.toy_gold import toy_document, write_gold
from training.gold import GoldDocument, GoldStep
from training.heuristics import ABSTAIN, LABELLING_FUNCTIONS
from training.label_command import label
from training.label_files import label_files, read_labels, trace_sha256, trace_table
from training.label_table import committed_table, function_figures, gold_table, label_table
from training.soft_labels import (
    VoteWeights,
    committed_weights,
    cross_fitted,
    fit_on_gold,
    fit_weights,
    gold_kinds,
    label_votes,
)
from training.votes import FUNCTION_NAMES, gold_votes

TRACE = (
    "The well is thirty feet deep. So the rope needs fifteen turns. "
    "Alternatively, the bucket hangs from two ropes. No, that would not fit the winch. "
    "Let me count the turns again. Therefore the rope needs fifteen turns."
)
KINDS_OF_TRACE = ["convergent", "convergent", "alternative", "backtrack", "restart", "convergent"]


@pytest.fixture(scope="module")
def documents() -> list[GoldDocument]:
    return [toy_document(seed) for seed in range(30)]


def write_traces(folder: Path, rows: list[dict[str, object]]) -> str:
    path = folder / "traces.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return str(path)


def test_committed_weights_label_without_data() -> None:
    probabilities = label_votes(TRACE, split_steps(TRACE))

    assert probabilities.dtype == np.float32
    assert probabilities.sum(axis=1) == pytest.approx(np.ones(6), abs=1e-6)
    assert [KINDS[kind] for kind in probabilities.argmax(axis=1)] == KINDS_OF_TRACE


def test_no_steps_have_no_labels() -> None:
    assert label_votes(TRACE, []).shape == (0, len(KINDS))


def test_given_weights_are_used() -> None:
    zero = VoteWeights(
        functions=FUNCTION_NAMES,
        bias=np.log([0.7, 0.1, 0.1, 0.1]),
        weights=np.zeros((len(FUNCTION_NAMES), len(KINDS))),
        fitted_on="nothing",
    )

    assert label_votes(TRACE, split_steps(TRACE), zero) == pytest.approx(
        np.tile([0.7, 0.1, 0.1, 0.1], (6, 1))
    )


def test_weights_add_up_over_the_functions_that_vote() -> None:
    weights = np.zeros((len(FUNCTION_NAMES), len(KINDS)))
    weights[0, 1] = 1.0
    weights[1, 1] = 2.0
    model = VoteWeights(FUNCTION_NAMES, np.zeros(len(KINDS)), weights, "nothing")
    votes = np.full((3, len(FUNCTION_NAMES)), ABSTAIN, dtype=np.int8)
    votes[1, 0] = votes[2, 0] = votes[2, 1] = 1

    expected = [np.exp(score) / (3 + np.exp(score)) for score in (0.0, 1.0, 3.0)]
    assert model.probabilities(votes)[:, 1] == pytest.approx(expected)


def test_matrix_of_another_width_is_refused() -> None:
    with pytest.raises(OptionError, match=r"shape \(2, 3\)"):
        committed_weights().probabilities(np.zeros((2, 3), dtype=np.int8))


def test_fitted_weights_follow_the_annotations(documents: list[GoldDocument]) -> None:
    weights = fit_on_gold(documents)
    kinds = gold_kinds(documents)
    probabilities = weights.probabilities(gold_votes(documents))

    assert (probabilities.argmax(axis=1) == kinds).mean() > 0.85
    # With the names of two kinds exchanged in the annotations the labels are exchanged as well.
    exchanged = np.array([0, 2, 1, 3])[kinds]
    other = fit_weights(gold_votes(documents), exchanged).probabilities(gold_votes(documents))
    assert (other.argmax(axis=1) == exchanged).mean() > 0.85


def test_fit_names_the_kind_that_is_missing(documents: list[GoldDocument]) -> None:
    votes = gold_votes(documents)
    with pytest.raises(OptionError, match="restart"):
        fit_weights(votes, np.minimum(gold_kinds(documents), 2))


def test_steps_without_kind_cannot_weigh_votes() -> None:
    document = GoldDocument("d7", "A lid.", (GoldStep(0, 6, False, None),), "", "", "", "")
    with pytest.raises(OptionError, match=r"d7: step 0\.\.6 has no `kind`"):
        fit_on_gold([document])


def test_weights_survive_a_file(tmp_path: Path, documents: list[GoldDocument]) -> None:
    weights = fit_on_gold(documents)
    path = tmp_path / "weights.json"
    weights.save(path)
    read = VoteWeights.parse(path.read_text(encoding="utf-8"), "weights.json")

    assert read.functions == weights.functions
    assert read.fitted_on == weights.fitted_on == "30 documents, 360 steps"
    assert (read.weights == weights.weights).all()
    assert (read.bias == weights.bias).all()


def test_weights_of_other_functions_are_refused() -> None:
    text = json.dumps(
        {"fitted_on": "", "kinds": list(KINDS), "bias": [0] * 4, "weights": {"smells_fishy": [0] * 4}}
    )
    with pytest.raises(InputFileError, match=r"other labelling functions.*--save-weights"):
        VoteWeights.parse(text, "old.json")


@pytest.mark.parametrize("text", ["", "[]", '{"weights": 3}', '{"weights": {}}'])
def test_what_is_no_weights_file_is_refused(text: str) -> None:
    with pytest.raises(InputFileError, match=r"odd\.json: expected JSON"):
        VoteWeights.parse(text, "odd.json")


def test_weights_that_cannot_be_written_are_an_error(tmp_path: Path) -> None:
    with pytest.raises(OutputFileError, match="cannot be written"):
        committed_weights().save(tmp_path / "missing" / "weights.json")


def test_cross_fitted_labels_do_not_see_their_own_group(documents: list[GoldDocument]) -> None:
    votes, kinds = gold_votes(documents), gold_kinds(documents)
    groups = [document.id for document in documents for _ in document.steps]
    labels = cross_fitted(votes, kinds, groups)
    assert labels is not None

    # A group whose annotations are turned round changes no label of its own.
    mine = np.array(groups) == documents[0].id
    turned = cross_fitted(votes, np.where(mine, 3 - kinds, kinds), groups)
    assert turned is not None
    assert (turned[mine] == labels[mine]).all()
    assert (turned[~mine] != labels[~mine]).any()


def test_too_few_groups_cannot_be_cross_fitted(documents: list[GoldDocument]) -> None:
    votes, kinds = gold_votes(documents[:4]), gold_kinds(documents[:4])
    groups = [document.id for document in documents[:4] for _ in document.steps]

    assert cross_fitted(votes, kinds, groups) is None
    assert cross_fitted(votes[:5], np.zeros(5, dtype=np.int64), list("abcde")) is None


def test_figures_of_a_function_by_hand() -> None:
    first, second = LABELLING_FUNCTIONS[0], LABELLING_FUNCTIONS[-1]
    assert first.vote != second.vote
    votes = np.full((5, len(LABELLING_FUNCTIONS)), ABSTAIN, dtype=np.int8)
    votes[[0, 1, 2], 0] = first.vote
    votes[[1], 1] = LABELLING_FUNCTIONS[1].vote
    votes[[2, 3], -1] = second.vote
    kinds = np.array([first.vote, first.vote, 0, 0, first.vote])
    figures = function_figures(votes, kinds)[0]

    assert (figures.name, figures.votes) == (first.name, 3)
    assert figures.coverage == pytest.approx(3 / 5)
    assert figures.overlap == pytest.approx(2 / 5)
    assert figures.conflict == pytest.approx(1 / 5)
    assert figures.accuracy == pytest.approx(2 / 3)
    assert figures.recall == pytest.approx(2 / 3)
    assert label_table(votes, "toys").uncovered == pytest.approx(1 / 5)


def test_figures_without_annotations_or_votes() -> None:
    votes = np.full((2, len(LABELLING_FUNCTIONS)), ABSTAIN, dtype=np.int8)

    assert function_figures(votes)[0].accuracy is None
    assert function_figures(votes, np.zeros(2, dtype=np.int64))[0].accuracy is None


def test_table_of_gold_judges_the_vote_on_other_documents(documents: list[GoldDocument]) -> None:
    table = gold_table(documents)

    assert table.held_out
    assert table.steps == 360
    assert table.average_precision is not None
    assert table.average_precision > 0.8
    assert not gold_table(documents[:3]).held_out


def test_table_fits_eighty_columns() -> None:
    console = Console(width=80)
    with console.capture() as capture:
        console.print(committed_table().render())
    lines = capture.get().splitlines()

    assert max(map(len, lines)) <= 80
    assert all(any(line.startswith(function.name) for line in lines) for function in LABELLING_FUNCTIONS)
    assert "average precision" in lines[-1]


def test_committed_table_is_of_todays_functions() -> None:
    table = committed_table()

    assert tuple(row.name for row in table.functions) == FUNCTION_NAMES
    assert [row.kind for row in table.functions] == [function.kind for function in LABELLING_FUNCTIONS]
    assert committed_weights().functions == FUNCTION_NAMES
    assert all(row.description for row in table.functions)


def test_every_function_beats_chance_on_the_training_documents() -> None:
    # Shares of the kinds among the training steps: a rule below its kind's share would mislead.
    shares = {"convergent": 0.857, "alternative": 0.075, "backtrack": 0.044, "restart": 0.024}
    for row in committed_table().functions:
        if row.kind != "convergent" and row.accuracy is not None:
            assert row.accuracy > 3 * shares[row.kind], row.name


def test_labelled_files_read_back(tmp_path: Path) -> None:
    rows: list[dict[str, object]] = [
        {"trace": TRACE, "kind": "raw_cot", "source": "s", "model": "m", "problem_id": "p"},
        {"trace": "The cart is red.", "kind": "direct_output"},
        {"trace": "  ", "kind": "raw_cot"},
        {"trace": "Plain \ud800 tin."},
    ]
    output = tmp_path / "labels.parquet"
    summary = label_files([write_traces(tmp_path, rows)], str(output))
    first, second = read_labels(output)

    assert (summary.traces, summary.steps, summary.other_rows, summary.empty_traces) == (2, 7, 1, 1)
    assert summary.characters == len(TRACE) + 12
    assert sum(summary.kind_shares.values()) == pytest.approx(1)
    assert (first.trace, first.source, first.model, first.problem_id) == (TRACE, "s", "m", "p")
    assert first.sha256 == trace_sha256(TRACE)
    assert list(first.spans) == split_steps(TRACE)
    assert (first.probabilities == label_votes(TRACE, split_steps(TRACE))).all()
    assert second.trace == "Plain \N{REPLACEMENT CHARACTER} tin."
    assert second.spans == ((0, 12),)


def test_many_traces_come_out_in_order(tmp_path: Path) -> None:
    rows: list[dict[str, object]] = [{"trace": f"Jar {number} is full."} for number in range(150)]
    output = tmp_path / "labels.parquet"
    label_files([write_traces(tmp_path, rows)], str(output))

    assert [voted.trace for voted in read_labels(output)] == [row["trace"] for row in rows]
    assert pq.ParquetFile(output).num_row_groups == 3


def test_row_without_trace_names_its_line_and_leaves_no_output(tmp_path: Path) -> None:
    source = write_traces(tmp_path, [{"trace": TRACE}, {"text": TRACE}])
    with pytest.raises(InputFileError, match=r"line 2.*`trace`.*text"):
        label_files([source], str(tmp_path / "labels.parquet"))

    assert sorted(path.name for path in tmp_path.iterdir()) == ["traces.jsonl"]


def test_line_that_is_no_json_is_named(tmp_path: Path) -> None:
    path = tmp_path / "traces.jsonl"
    path.write_text('{"trace": "A lid."}\n{"trace": \n', encoding="utf-8")
    with pytest.raises(InputFileError, match="line 2"):
        label_files([str(path)], str(tmp_path / "labels.parquet"))


def test_output_that_exists_is_kept(tmp_path: Path) -> None:
    source = write_traces(tmp_path, [{"trace": TRACE}])
    output = tmp_path / "labels.parquet"
    output.write_text("old", encoding="utf-8")
    with pytest.raises(OutputFileError, match="--overwrite"):
        label_files([source], str(output))
    assert output.read_text(encoding="utf-8") == "old"

    label_files([source], str(output), overwrite=True)
    assert len(list(read_labels(output))) == 1


def test_labels_are_parquet(tmp_path: Path) -> None:
    with pytest.raises(OptionError, match=r"\.parquet"):
        label_files([write_traces(tmp_path, [{"trace": TRACE}])], str(tmp_path / "labels.jsonl"))


def test_other_parquet_is_no_label_file(tmp_path: Path) -> None:
    import pyarrow as pa

    pq.write_table(pa.table({"trace": ["A lid."]}), tmp_path / "other.parquet")
    with pytest.raises(InputFileError, match="expected the columns source"):
        list(read_labels(tmp_path / "other.parquet"))
    (tmp_path / "broken.parquet").write_bytes(b"PAR1")
    with pytest.raises(InputFileError, match="cannot be read"):
        list(read_labels(tmp_path / "broken.parquet"))


def test_table_of_traces_has_no_accuracy(tmp_path: Path) -> None:
    table = trace_table([write_traces(tmp_path, [{"trace": TRACE}])])

    assert table.steps == 6
    assert table.average_precision is None
    again = next(row for row in table.functions if row.name == "does_it_again")
    assert (again.votes, again.accuracy) == (1, None)


def run_label(*arguments: str) -> tuple[int, str, BaseException | None]:
    app = typer.Typer()
    app.command()(label)
    result = CliRunner().invoke(app, list(arguments), env={"COLUMNS": "80"})
    return result.exit_code, result.output, result.exception


def test_command_labels_with_weights_from_gold(tmp_path: Path, documents: list[GoldDocument]) -> None:
    source = write_traces(tmp_path, [{"trace": TRACE}])
    gold = write_gold(tmp_path / "gold.jsonl.gz", documents)
    output, saved = tmp_path / "labels.parquet", tmp_path / "weights.json"
    code, text, _ = run_label(
        source, "--gold", str(gold), "-o", str(output), "--save-weights", str(saved), "--json"
    )
    content = json.loads(text)

    assert code == 0
    assert content["labels"]["traces"] == 1
    assert content["labels"]["weights_fitted_on"] == "30 documents, 360 steps"
    assert content["table"] is None
    (voted,) = read_labels(output)
    weights = VoteWeights.parse(saved.read_text(encoding="utf-8"), "weights.json")
    assert (voted.probabilities == label_votes(TRACE, split_steps(TRACE), weights)).all()


def test_command_tells_what_it_labelled(tmp_path: Path) -> None:
    source = write_traces(tmp_path, [{"trace": TRACE}, {"trace": "A lid.", "kind": "direct_output"}])
    code, text, _ = run_label(source, "-o", str(tmp_path / "labels.parquet"))

    assert code == 0
    assert "1 traces, 6 steps" in text
    assert "1 rows that are no raw chain of thought" in " ".join(text.split())


def test_command_shows_tables(tmp_path: Path, documents: list[GoldDocument]) -> None:
    gold = write_gold(tmp_path / "gold.jsonl.gz", documents)
    _, committed, _ = run_label("--table", "--json")
    _, of_gold, _ = run_label("--table", "--gold", str(gold), "--json")
    _, of_traces, _ = run_label("--table", write_traces(tmp_path, [{"trace": TRACE}]))

    assert json.loads(committed)["table"]["steps"] == 30_998
    assert json.loads(of_gold)["table"]["steps"] == 360
    assert "6 steps of 1 raw chains" in of_traces


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "nothing to do"),
        (["-o", "labels.parquet"], "needs traces"),
        (["--save-weights", "weights.json"], "give --gold"),
    ],
)
def test_command_refuses_calls_that_cannot_work(arguments: list[str], message: str) -> None:
    code, _, error = run_label(*arguments)

    assert code != 0
    assert isinstance(error, OptionError)
    assert message in str(error)


def test_command_keeps_weights_that_exist(tmp_path: Path, documents: list[GoldDocument]) -> None:
    gold = write_gold(tmp_path / "gold.jsonl.gz", documents)
    _, _, error = run_label("--gold", str(gold), "--save-weights", str(gold))

    assert isinstance(error, OutputFileError)


def test_vote_beats_the_word_lists_on_the_development_documents(shared_data: Path) -> None:
    from sklearn.metrics import average_precision_score

    from training.baselines import WordList
    from training.cue_words import WORD_LISTS
    from training.gold import read_gold

    development = read_gold([shared_data / "gold" / "dev.jsonl.gz"])
    branches = [step.branches for document in development for step in document.steps]

    def precision(scores: list[np.ndarray]) -> float:
        return float(average_precision_score(branches, np.concatenate(scores)))

    vote = precision([1 - label_votes(document.trace, document.spans)[:, 0] for document in development])
    lists = [
        precision([WordList(name).probabilities(document) for document in development]) for name in WORD_LISTS
    ]
    assert vote > max(lists) + 0.1
