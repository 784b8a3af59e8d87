"""YAML reads the way it looks, keeps its marks, and says in one line what is wrong."""

import math
from pathlib import Path

import pytest
import yaml

from gansemble.recipe.document import Document, Mark, Problem, RecipeError, dotted, parse, read


def value(text: str):
    return parse(f"a: {text}", "r.yaml").value["a"]


def problems(text: str) -> list[Problem]:
    with pytest.raises(RecipeError) as caught:
        parse(text, "r.yaml")
    return caught.value.problems


def message(text: str) -> str:
    """The first problem as it is printed, without its source line."""
    return str(problems(text)[0]).splitlines()[0]


NUMBERS = {
    "1e-4": 1e-4,
    "1e4": 1e4,
    "1E+4": 1e4,
    "2.5e-3": 2.5e-3,
    ".5": 0.5,
    "1.": 1.0,
    "-.inf": -math.inf,
    ".INF": math.inf,
    "5": 5,
    "-5": -5,
    "+5": 5,
    "0": 0,
    "1_000": 1000,
    "017": 17,
}


@pytest.mark.parametrize("text", NUMBERS)
def test_numbers_read_as_they_look(text):
    assert value(text) == NUMBERS[text]


@pytest.mark.parametrize("text", ["1e-4", "1e4", "1E+4", "1.", "1.0"])
def test_a_dot_or_an_exponent_makes_a_float(text):
    assert type(value(text)) is float


@pytest.mark.parametrize("text", [".nan", ".NaN", ".NAN"])
def test_nan_is_a_float(text):
    assert math.isnan(value(text))


TEXTS = [
    "yes",
    "no",
    "on",
    "off",
    "y",
    "True",
    "FALSE",
    "1:30",
    "12:30:45",
    "2024-01-01",
    "0x10",
    "0o17",
    "1e",
    "é",
    "=",
]


@pytest.mark.parametrize("text", TEXTS)
def test_what_yaml_1_1_turns_into_something_else_stays_text(text):
    assert value(text) == text and type(value(text)) is str


@pytest.mark.parametrize(
    ("text", "expected"), [("true", True), ("false", False), ("null", None), ("~", None), ("", None)]
)
def test_true_false_and_null_are_the_only_words_that_are_no_text(text, expected):
    assert value(text) is expected


def test_quotes_make_text():
    assert [value(text) for text in ('"1e-4"', "'true'", '"null"')] == ["1e-4", "true", "null"]


def test_pyyaml_itself_is_left_as_it_was():
    assert yaml.load("[1e-4, yes, 017, 2024-01-01]", yaml.SafeLoader)[:3] == ["1e-4", True, 15]


def test_an_empty_file_is_an_empty_document():
    assert parse("", "r.yaml").value == parse("# nothing\n", "r.yaml").value == {}


def test_a_repeated_key_names_its_first_line():
    text = "plan:\n  steps: 1\n  seed: 2\n  steps: 3\n"
    assert str(problems(text)[0]) == (
        "r.yaml:4:3: plan.steps: key already given on line 2\n    4 |   steps: 3\n      |   ^^^^^"
    )


def test_every_repeated_key_is_reported_at_once():
    assert [p.mark.column for p in problems("{a: 1, a: 2, b: {c: 1, c: 2}, b: 3}")] == [8, 24, 31]


def test_a_tab_says_to_use_spaces():
    first = message("plan:\n\tsteps: 1\n")
    assert first.startswith("r.yaml:2:1: not YAML:") and first.endswith("a tab cannot indent YAML: use spaces")


@pytest.mark.parametrize(
    "text",
    [
        "!foo x",
        "!foo {b: 1}",
        "!foo [1]",
        "!!python/name:os.system x",
        "!!python/object/apply:os.system [ls]",
        "!!bool yes",
        "!!binary aGk=",
        "!!timestamp 2024-01-01",
    ],
)
def test_tags_are_refused_and_never_obeyed(text):
    assert message(f"a: {text}").startswith("r.yaml:1:4: a: ")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("true: 1", "r.yaml:1:1: keys must be names or whole numbers, got True"),
        ("1.5: 1", "r.yaml:1:1: keys must be names or whole numbers, got 1.5"),
        ("- 1", "r.yaml:1:1: a recipe must be a mapping of sections, got list"),
        ("5", "r.yaml:1:1: a recipe must be a mapping of sections, got int"),
        ("a: {b: 1", "r.yaml:1:9: not YAML: expected ',' or '}', but got '<stream end>'"),
        ("a: *nope", "r.yaml:1:4: not YAML: found undefined alias 'nope'"),
        ("a: 1__0", "r.yaml:1:4: a: not a number: '1__0'"),
    ],
)
def test_what_is_no_recipe_is_refused_in_words(text, expected):
    assert message(text) == expected


def test_two_documents_in_one_file_are_called_so():
    assert "single document" in message("a: 1\n---\nb: 2\n")


def test_a_control_character_is_a_problem_and_no_crash():
    assert "not YAML" in message("a: 1\nb: \x01\n")


def test_an_alias_inside_its_own_anchor_is_a_problem_and_no_crash():
    assert message("a: &a {b: *a}").startswith("r.yaml:1:")


def test_anchors_repeat_a_value():
    assert parse("a: &x [1, 2]\nb: *x", "r.yaml").value == {"a": [1, 2], "b": [1, 2]}


@pytest.mark.parametrize("content", [b"\xff\xfe\x00", None])
def test_an_unreadable_file_is_named(tmp_path, content):
    path = tmp_path / "r.yaml"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(RecipeError, match=str(path)):
        read(path)


def test_a_folder_is_no_recipe(tmp_path):
    with pytest.raises(RecipeError, match="is a folder; give a recipe file"):
        read(tmp_path)


TEXT = "plan:\n  steps: 100\nlosses: {mel: {use: mel_l1, weight: 45}}\nlist: [2, 3, five]\nname: 'a b'\n"


@pytest.mark.parametrize(
    ("path", "line", "column", "width"),
    [
        (("plan", "steps"), 2, 10, 3),
        (("losses",), 3, 9, 32),
        (("losses", "mel", "use"), 3, 21, 6),
        (("losses", "mel", "weight"), 3, 37, 2),
        (("list", 2), 4, 14, 4),
        (("name",), 5, 7, 5),
    ],
)
def test_values_have_exact_marks(path, line, column, width):
    mark = parse(TEXT, "r.yaml").mark(path)
    assert (mark.file, mark.line, mark.column, mark.width) == ("r.yaml", line, column, width)
    assert mark.text == TEXT.splitlines()[line - 1]


def test_keys_have_exact_marks():
    mark = parse(TEXT, "r.yaml").key_mark(("losses", "mel", "weight"))
    assert (mark.line, mark.column, mark.width) == (3, 29, 6)


def test_the_mark_of_what_is_absent_is_that_of_what_contains_it():
    document = parse(TEXT, "r.yaml")
    assert document.mark(("losses", "mel", "nothing")) == document.mark(("losses", "mel"))
    assert document.mark(("nowhere",)) == document.mark(()) == Mark("r.yaml", 1, 1, "plan:", 5)
    assert Document().mark(("a",)) is None


def test_the_caret_stands_under_the_value():
    caret = parse(TEXT, "r.yaml").mark(("list", 2)).caret()
    assert caret == "    4 | list: [2, 3, five]\n      |              ^^^^"


def test_the_caret_counts_letters_not_bytes():
    assert parse("é: {ü: 12}", "r.yaml").mark(("é", "ü")).caret() == "    1 | é: {ü: 12}\n      |        ^^"


def test_the_caret_keeps_tabs_so_that_it_stands_right_at_any_tab_width():
    assert Mark("r.yaml", 2, 6, "a:\t1 2", 1).caret() == "    2 | a:\t1 2\n      |   \t  ^"


def test_windows_line_ends_shift_nothing():
    mark = parse("a: 1\r\nb: 22\r\n", "r.yaml").mark(("b",))
    assert (mark.line, mark.column, mark.width, mark.text) == (2, 4, 2, "b: 22")


def test_paths_are_written_with_dots_and_brackets():
    assert dotted(("discriminators", "mpd", "periods", 2)) == "discriminators.mpd.periods[2]"


def test_an_error_lists_its_problems_by_line_and_counts_them():
    document = parse("a: 1\nb: 2\n", "r.yaml")
    late, early = (Problem((key,), "bad", document.mark((key,))) for key in "ba")
    error = RecipeError([late, early])
    assert error.problems == [early, late]
    assert str(error).splitlines()[-1] == "2 problems in the recipe; nothing was built or changed."
    assert str(RecipeError([early])).splitlines()[-1] == "1 problem in the recipe; nothing was built or changed."


def test_a_note_stands_between_message_and_source():
    document = parse("a: 1\n", "r.yaml")
    shown = str(Problem(("a",), "bad", document.mark(("a",)), "a: str"))
    assert shown == "r.yaml:1:4: a: bad\n      (a: str)\n    1 | a: 1\n      |    ^"


def test_every_shipped_recipe_file_reads_and_marks_every_value():
    files = sorted((Path(__file__).parents[2] / "egs").glob("*/*/conf/*.yaml"))
    assert files
    for path in files:
        document = read(path)
        assert document.keys.keys() <= document.marks.keys(), path
