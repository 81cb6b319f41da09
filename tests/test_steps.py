"""Steps: offsets that lose nothing, sentences and lines, and what must not end a step."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from classifier.steps import MAX_STEP, split_steps


def steps_of(text: str) -> list[str]:
    return [text[start:end] for start, end in split_steps(text)]


def assert_nothing_lost(text: str) -> None:
    spans = split_steps(text)
    position = 0
    for start, end in spans:
        assert start < end <= start + MAX_STEP
        assert not text[position:start].strip(), "a gap holds something visible, or steps overlap"
        assert not text[start].isspace()
        assert not text[end - 1].isspace()
        position = end
    assert not text[position:].strip()


PIECES = st.sampled_from(
    [
        *'.!?…。！\n\x85\u2028\u2029 \t\u3000"”’)]}(“「」$`\\-*|\ud800\udc00😀éÉ好אßｘ\u200b\x00',
        *[
            "a",
            "So",
            "Wait",
            "x1",
            "...",
            "\r\n",
            "\n\n",
            "  ",
            "$$",
            "\\[",
            "\\]",
            "\\(",
            "\\)",
            "``",
            "```",
        ],
        *["\\begin{a}", "\\end{a}", "1.", "12.", "vs.", "Dr.", "No.", "J.", "3.5", "x" * 400, " " * 700],
    ]
)


@given(st.one_of(st.text(st.characters(), max_size=200), st.lists(PIECES, max_size=40).map("".join)))
def test_every_visible_character_is_in_exactly_one_step(text: str) -> None:
    assert_nothing_lost(text)


@given(st.lists(PIECES, max_size=20).map("".join), st.sampled_from(["", " ", "\n", " \n\t"]))
def test_white_space_around_the_text_only_shifts_the_steps(text: str, space: str) -> None:
    shifted = [(start - len(space), end - len(space)) for start, end in split_steps(space + text + space)]
    assert shifted == split_steps(text)


@pytest.mark.parametrize("text", ["", " ", "\n\n", "\u3000\u2028\x85"])
def test_white_space_alone_has_no_steps(text: str) -> None:
    assert split_steps(text) == []


def test_offsets_are_code_points() -> None:
    assert split_steps("😀 Right.\n\n\ud83d is lone. Done.") == [(0, 8), (10, 20), (21, 26)]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Half is 8. Is it? Yes! Good…", ["Half is 8.", "Is it?", "Yes!", "Good…"]),
        ("First line\nsecond line", ["First line", "second line"]),
        ("One. \n\n  Two.\t\n", ["One.", "Two."]),
        ("Try six... Then seven.", ["Try six...", "Then seven."]),
        ("Really?! Yes.", ["Really?!", "Yes."]),
        (". So it begins. Then", [". So it begins.", "Then"]),
        ("Half is 8. 16 is the whole.", ["Half is 8.", "16 is the whole."]),
        ("It fits. **Answer:** 4", ["It fits.", "**Answer:** 4"]),
        ("It fits. `f(2)` is 4.", ["It fits.", "`f(2)` is 4."]),
        ("It fits. — But does it?", ["It fits.", "— But does it?"]),
        ("C'est bon. Évident. ça va", ["C'est bon.", "Évident. ça va"]),
        ("Верно. Нет, подожди.", ["Верно.", "Нет, подожди."]),
        ("هل هذا صحيح؟ نعم.", ["هل هذا صحيح؟", "نعم."]),
        ("यह सही है। फिर देखें।", ["यह सही है।", "फिर देखें।"]),
    ],
)
def test_sentences_and_lines(text: str, expected: list[str]) -> None:
    assert steps_of(text) == expected


@pytest.mark.parametrize(
    "line_break", ["\n", "\r\n", "\r", "\x0b", "\x0c", "\x1c", "\x1d", "\x1e", "\x85", "\u2028", "\u2029"]
)
def test_every_line_break_of_unicode_ends_a_step(line_break: str) -> None:
    assert steps_of(f"add five{line_break}take two") == ["add five", "take two"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('He said "stop." Then he left.', ['He said "stop."', "Then he left."]),
        ("It asks “why?” The rest is known.", ["It asks “why?”", "The rest is known."]),
        ("(It is odd.) So we go on.", ["(It is odd.)", "So we go on."]),
        ("She says 'he said \"no.\"' Strange.", ["She says 'he said \"no.\"'", "Strange."]),
        ("It holds. “Why” is next.", ["It holds.", "“Why” is next."]),
        ("It holds. (See above.)", ["It holds.", "(See above.)"]),
        ('Is it "what now?" or not.', ['Is it "what now?" or not.']),
    ],
)
def test_quotes_and_brackets_stay_with_their_sentence(text: str, expected: list[str]) -> None:
    assert steps_of(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "The rate is 3.14 per day, or .5 or 1,000.25.",
        "Use a small prime, e.g. 7, or a big one, i.e. M31.",
        "Dr. Lee met Mrs. Park and Prof. St. Clair.",
        "Look at Fig. 3 and Eq. (4) in Vol. 2 by Ito et al. [5].",
        "It is A vs. B, approx. 40 each.",
        "It came on Jan. 5 to No. 12, on the left.",
        "A book by J. R. R. Tolkien.",
        "The U.S. Army and a Ph.D. Student.",
        "We count 1, 2, ... and so on.",
        "Then wait... no, it is 5! divided by 4! again.",
        "It runs on node.js or os.path, see a.b.c.",
        "Is it? yes, it is.",
        "The kinase. mTOR binds it.",
        "The slope. β is small.",
        "Done. → next",
    ],
)
def test_full_stops_that_end_no_sentence(text: str) -> None:
    assert steps_of(text) == [text]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Cats, dogs, etc. Then birds.", ["Cats, dogs, etc.", "Then birds."]),
        ("Is it odd? No. Then it is even.", ["Is it odd?", "No.", "Then it is even."]),
        ("Is it odd? No. 12 is even.", ["Is it odd?", "No.", "12 is even."]),
        ("It must be Door B. Then Monty opens A.", ["It must be Door B.", "Then Monty opens A."]),
        ("That is 2.4 approx. Indeed it is.", ["That is 2.4 approx.", "Indeed it is."]),
        ("It starts at 9 p.m. Then we wait.", ["It starts at 9 p.m.", "Then we wait."]),
        ("Who wrote it, Ito et al. The others did.", ["Who wrote it, Ito et al.", "The others did."]),
        ("I asked the Dr.! He knew.", ["I asked the Dr.!", "He knew."]),
    ],
)
def test_words_that_only_look_like_abbreviations(text: str, expected: list[str]) -> None:
    assert steps_of(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1. Add them.\n2. Halve it.", ["1. Add them.", "2. Halve it."]),
        ("  10. Add them.\n  11. Halve it.", ["10. Add them.", "11. Halve it."]),
        ("**12. Add them.**\n- 13. Halve it.", ["**12. Add them.**", "- 13. Halve it."]),
        ("1) Add them.\n(b) Halve it.", ["1) Add them.", "(b) Halve it."]),
        ("A. Red\nB. Blue", ["A. Red", "B. Blue"]),
        ("- Add them.\n* Halve it.", ["- Add them.", "* Halve it."]),
        ("1.\n\nAdd them.", ["1.\n\nAdd them."]),
        ("How many? 12. Fine.", ["How many?", "12.", "Fine."]),
    ],
)
def test_list_numbers_stay_with_their_item(text: str, expected: list[str]) -> None:
    assert steps_of(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("So:\n\\[\nx = 1.\n\ny\n\\]", ["So:", "\\[\nx = 1.", "y\n\\]"]),
        (
            "So:\n\n\\[\nx = 1.5 \\\\[4pt]\ny = 2.\n\\]\n\nThen",
            ["So:", "\\[\nx = 1.5 \\\\[4pt]\ny = 2.\n\\]", "Then"],
        ),
        ("So:\n$$\na! = b! C\n= d.\n$$\nThen", ["So:", "$$\na! = b! C\n= d.\n$$", "Then"]),
        (
            "\\begin{align}\nx &= 1. Y \\\\\n\\begin{cases} 1\\\\\n2 \\end{cases}\n\\end{align}\nThen",
            ["\\begin{align}\nx &= 1. Y \\\\\n\\begin{cases} 1\\\\\n2 \\end{cases}\n\\end{align}", "Then"],
        ),
        (
            "\\begin{proof}\nIt is odd.\n\nSo it is.\n\\end{proof}",
            ["\\begin{proof}", "It is odd.", "So it is.", "\\end{proof}"],
        ),
        ("\\begin{a}\n$x$ is 1. Y\n\\end{a}\nThen\nOn", ["\\begin{a}\n$x$ is 1. Y\n\\end{a}", "Then\nOn"]),
        ("\\end{a} is closed.\nGood", ["\\end{a} is closed.", "Good"]),
        ("Let $x = 5! \\cdot 2. Y$ be. Then $z$.", ["Let $x = 5! \\cdot 2. Y$ be.", "Then $z$."]),
        ("Let \\(x = 5! Y\\) be. Then \\(z\\).", ["Let \\(x = 5! Y\\) be.", "Then \\(z\\)."]),
        ("We know \\(x = 5.\\) Then go on.", ["We know \\(x = 5.\\)", "Then go on."]),
        ("We know $x = 5.$ Then go on.", ["We know $x = 5.$", "Then go on."]),
        ("So \\[ x = 5. \\] holds", ["So \\[ x = 5. \\] holds"]),
        ("It was $5. She paid $10. He paid $3 more.", ["It was $5.", "She paid $10.", "He paid $3 more."]),
        ("Lone $$ sign.\nThen $$ again.\n\nEnd $$", ["Lone $$ sign.\nThen $$ again.", "End $$"]),
    ],
)
def test_mathematics(text: str, expected: list[str]) -> None:
    assert steps_of(text) == expected


def test_display_mathematics_too_long_for_a_step_is_split_at_its_lines() -> None:
    lines = [f"x_{number} &= {number}. Y \\\\" for number in range(100)]
    text = "\\[\n" + "\n".join(lines) + "\n\\]"
    assert steps_of(text) == ["\\[\n" + lines[0], *lines[1:-1], lines[-1] + "\n\\]"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            "Run:\n```python\nprint('Hi. You')  # Say so. Done.\nf(\n    1,\n)\n```\nIt ran. Good.",
            [
                "Run:",
                "```python",
                "print('Hi. You')  # Say so. Done.",
                "f(\n    1,\n)",
                "```",
                "It ran.",
                "Good.",
            ],
        ),
        ("Call `a. B` now. Then ``c. E`` too.", ["Call `a. B` now.", "Then ``c. E`` too."]),
        ("```\nleft open. Then text.", ["```", "left open.", "Then text."]),
        ("A lone ` here. Then text.\nAnd ` there.", ["A lone ` here.", "Then text.", "And ` there."]),
        (
            "```sh\necho $$ `x`. Y\n\nkill $$\n```\nDone",
            ["```sh", "echo $$ `x`. Y", "kill $$", "```", "Done"],
        ),
    ],
)
def test_code(text: str, expected: list[str]) -> None:
    assert steps_of(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("先算一半。等等！不对？好", ["先算一半。", "等等！", "不对？", "好"]),
        ("彼は「違う。」と言った。次へ。", ["彼は「違う。」", "と言った。", "次へ。"]),
        ("先算 3.5。\n等等\n不对。  再来", ["先算 3.5。", "等等", "不对。", "再来"]),
        ("真的？！好。", ["真的？！", "好。"]),
        ("不。\n\n好", ["不。", "好"]),
    ],
)
def test_chinese_and_japanese_full_stops_need_no_space(text: str, expected: list[str]) -> None:
    assert steps_of(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("f(a,\n)\ng(b)", ["f(a,\n)", "g(b)"]),
        (")\nfirst", [")\nfirst"]),
        ("\\[\n\nx + 1\n\n\\]\nThen", ["\\[\n\nx + 1\n\n\\]", "Then"]),
        ("|\nx + 1", ["|\nx + 1"]),
        ("So we get\n\n4", ["So we get\n\n4"]),
        ("4", ["4"]),
    ],
)
def test_one_or_two_characters_join_a_neighbour(text: str, expected: list[str]) -> None:
    assert steps_of(text) == expected


def test_a_short_rest_far_away_stands_alone_rather_than_in_a_too_long_step() -> None:
    assert steps_of("add" + "\n" * MAX_STEP + "4") == ["add", "4"]
    assert steps_of("add" + "\n" * MAX_STEP + ")\nEnd") == ["add", ")\nEnd"]


def test_a_long_step_is_cut_at_spaces_then_commas_then_anywhere() -> None:
    words = "word " * (MAX_STEP // 2)
    assert all(step.endswith("word") and len(step) > MAX_STEP // 2 for step in steps_of(words)[:-1])
    numbers = "12," * MAX_STEP
    assert all(step.endswith(",") and len(step) > MAX_STEP // 2 for step in steps_of(numbers)[:-1])
    assert [len(step) for step in steps_of("x" * (2 * MAX_STEP + 5))] == [MAX_STEP, MAX_STEP, 5]
    assert steps_of("x" * MAX_STEP + " y") == ["x" * MAX_STEP, "y"]
    assert steps_of("a" + " " * 3 * MAX_STEP + "b. So") == ["a", "b. So"]


HOSTILE = [
    *'$`.\\!。"( \n)',
    *[
        ". ",
        ".A ",
        "\\[",
        "\\(",
        "\\begin{a}",
        "\\begin{a}\\end{a}",
        "```a\n",
        "`x",
        "$a ",
        "$$a\n",
        "$$\n \n",
        "vs.\tA",
    ],
    *[
        "A. ",
        "12. ",
        "a\n",
        "1.\n",
        ")\n",
        "a.)",
        "\\[x\n",
        ".\\)",
        "\ud800. ",
        "A.B. C",
        "?。",
        "ab",
        "a b, ",
        "\\end{a",
    ],
]


@pytest.mark.parametrize("piece", HOSTILE)
def test_time_is_linear_on_hostile_input(piece: str) -> None:
    assert_nothing_lost(piece * (50_000 // len(piece)))
    text = piece * (500_000 // len(piece))
    started = time.process_time()
    split_steps(text)
    assert time.process_time() - started < 3  # 0.2 s at most when measured; what is quadratic takes minutes
