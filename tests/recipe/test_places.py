"""Where values stand, how problems are written down, and what becomes of places when recipes are composed."""

from __future__ import annotations

from pathlib import Path

import pytest

from gansemble.recipe.compose import compose, gather, merge, resolve_references
from gansemble.recipe.document import Document, Mark, Problem, RecipeError, dotted, parse, read


def first(text: str) -> Problem:
    with pytest.raises(RecipeError) as caught:
        parse(text, "r.yaml")
    return caught.value.problems[0]


def place(mark: Mark | None) -> tuple[int, int, int]:
    assert mark is not None
    return mark.line, mark.column, mark.width


# marks and problems -----------------------------------------------------


@pytest.mark.parametrize(
    ("mark", "shown"),
    [
        (Mark("r", 7, 1, "abc", 3), "    7 | abc\n      | ^^^"),
        (Mark("r", 12345, 2, "abc", 1), "12345 | abc\n      |  ^"),
        (Mark("r", 7, 3, "abc", 0), "    7 | abc\n      |   ^"),
        (Mark("r", 7, 3, "\ta", 1), "    7 | \ta\n      | \t ^"),
    ],
)
def test_a_caret_stands_under_its_column(mark, shown):
    assert mark.caret() == shown and mark.place == f"r:{mark.line}:{mark.column}"


HERE, THERE = Mark("r", 1, 2, "ab", 1), Mark("s", 3, 1, "cd", 2)


@pytest.mark.parametrize(
    ("problem", "lines"),
    [
        (Problem((), "m"), ["m"]),
        (Problem(("a", 1), "m"), ["a[1]: m"]),
        (Problem(("a",), "m", HERE), ["r:1:2: a: m", "    1 | ab", "      |  ^"]),
        (Problem((), "m", note="n", fix="f"), ["m", "      (n)", "  fix: f"]),
        (Problem((), "m", other="o"), ["m", "  o"]),
        (Problem((), "m", other="o", other_mark=THERE), ["m", "  s:3:1: o", "    3 | cd", "      | ^^"]),
        (Problem((), "m", other_mark=THERE), ["m"]),
        (
            Problem((), "m", HERE, "n", "o", THERE, "f"),
            [
                "r:1:2: m",
                "      (n)",
                "    1 | ab",
                "      |  ^",
                "  s:3:1: o",
                "    3 | cd",
                "      | ^^",
                "  fix: f",
            ],
        ),
    ],
)
def test_a_problem_is_written_with_what_is_known_of_it(problem, lines):
    assert str(problem).splitlines() == lines


def test_problems_are_sorted_by_file_line_and_column_and_those_without_a_place_come_first():
    marks = [("b", 1, 1), ("a", 10, 1), ("a", 9, 5), ("a", 9, 2)]
    placed = [Problem((), f"{mark}", Mark(*mark, "", 1)) for mark in marks]
    nowhere = Problem((), "nowhere")
    error = RecipeError([*placed, nowhere])
    assert error.problems == [nowhere, *reversed(placed)]
    assert str(error).startswith("nowhere\n\na:9:2: ") and "\n\n5 problems in the recipe" in str(error)


@pytest.mark.parametrize(
    ("path", "text"),
    [((), ""), (("a",), "a"), ((2,), "[2]"), (("a", 0, "b"), "a[0].b"), ((1, "b", 2, 3), "[1].b[2][3]")],
)
def test_a_path_as_text(path, text):
    assert dotted(path) == text


def test_a_key_without_a_place_has_that_of_its_value_or_of_what_is_around_it():
    document = Document(marks={("a",): HERE, (): THERE}, keys={("b",): THERE})
    assert document.key_mark(("a",)) == HERE == document.mark(("a", "x", 3))
    assert document.key_mark(("b",)) == THERE == document.mark(("b",)) == document.key_mark(("c", "d"))
    assert Document().key_mark(("a",)) is None


# YAML -------------------------------------------------------------------


def test_a_value_of_several_lines_is_underlined_to_the_end_of_its_first():
    document = parse("a: {b: 1,\n    c: 22}\nd:\n  - x\n  - yy\n", "r.yaml")
    assert place(document.mark(("a",))) == (1, 4, 6)
    assert place(document.mark(("a", "c"))) == (2, 8, 2)
    assert place(document.mark(("d",))) == (4, 3, 3) and place(document.mark(("d", 1))) == (5, 5, 2)
    assert place(document.mark(())) == (1, 1, 9)


def test_an_empty_value_has_a_caret_all_the_same():
    document = parse("a:\nb: ''\n", "r.yaml")
    assert place(document.mark(("a",))) == (1, 3, 1) and place(document.mark(("b",))) == (2, 4, 2)
    assert document.value == {"a": None, "b": ""}


def test_a_value_behind_the_last_line_has_a_place_without_text():
    mark = parse("a: |\n", "r.yaml").mark(("a",))
    assert (mark.line, mark.text, mark.width) == (1, "a: |", 1)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1.5e3", 1500.0),
        ("1_000.5", 1000.5),
        (".5e1", 5.0),
        ("+.5", 0.5),
        ("-1_0", -10),
        ("-.INF", float("-inf")),
        ("+.Inf", float("inf")),
        ("00", 0.0),
        ("1e", "1e"),
        (".", "."),
        ("-", [None]),
        ("inf", "inf"),
        ("~x", "~x"),
        ("nullx", "nullx"),
        ("truely", "truely"),
    ],
)
def test_what_plain_values_are_read_as(text, value):
    found = parse(f"a: {text}" if text != "-" else "a:\n-", "r.yaml").value["a"]
    assert found == value and type(found) is type(value)


@pytest.mark.parametrize(
    ("text", "path", "at"),
    [
        ("null: 1", (), (1, 1, 4)),
        ("a: {~: 1}", ("a",), (1, 5, 1)),
        ("a: {false: 1}", ("a",), (1, 5, 5)),
        ("? [x]\n: 1", (), (1, 3, 3)),
        ("a: {b: 1, b: 2}", ("a", "b"), (1, 11, 1)),
        ("a: &x [1, *x]", ("a", 1), (1, 4, 10)),
        ("a: &x {b: {c: *x}}", ("a", "b", "c"), (1, 4, 15)),
        ("a: !x 3", ("a",), (1, 4, 4)),
        ("a: !!bool no", ("a",), (1, 4, 9)),
        ("a: !!int x", ("a",), (1, 4, 7)),
        ("- 1\n- 2", (), (1, 1, 3)),
    ],
)
def test_what_is_not_read_is_marked(text, path, at):
    problem = first(text)
    assert problem.path == path and place(problem.mark) == at


def test_a_value_may_be_used_twice_beside_its_anchor():
    assert parse("a: &x {b: 1}\nc: *x\nd: [*x, *x]\n", "r.yaml").value == {
        "a": {"b": 1},
        "c": {"b": 1},
        "d": [{"b": 1}, {"b": 1}],
    }


@pytest.mark.parametrize("text", ["a: !!bool true", "a: !!str true", "a: !!float 1", "a: !!null ''", "a: !!seq [1]"])
def test_the_tags_of_plain_kinds_are_read(text):
    value = {"bool": True, "str": "true", "float": 1.0, "null": None, "seq": [1]}[text.split()[1].strip("!")]
    assert parse(text, "r.yaml").value == {"a": value}


@pytest.mark.parametrize(
    ("text", "line", "column", "shown"),
    [
        ("a: 1\nb: [1, 2\n", 2, 4, "b: [1, 2"),
        ("a: 'x\n", 1, 4, "a: 'x"),
        ("a: 1\n  b: 2\n", 2, 4, "  b: 2"),
        ("--- {a: 1}\n--- {b: 2}\n", 2, 1, "--- {b: 2}"),
    ],
)
def test_what_is_no_yaml_is_marked_where_it_stops_being_yaml(text, line, column, shown):
    mark = first(text).mark
    assert mark.file == "r.yaml" and mark.width == 1
    assert mark.text in text.splitlines() and mark.line >= line
    if mark.line == line:
        assert (mark.column, mark.text) == (column, shown) or text.startswith(("a: 1\nb", "a: 'x"))


def test_two_documents_are_called_so_and_other_contexts_are_left_out():
    assert "single document" in first("--- {a: 1}\n--- {b: 2}\n").message
    assert "while" not in first("a: [1, 2\n").message
    assert "use spaces" not in first("a: [1, 2\n").message


def test_a_character_that_yaml_cannot_hold_is_told():
    problem = first("a: \x00\n")
    assert problem.message.startswith("not YAML: a NUL, which text cannot hold") and problem.mark.place == "r.yaml:1:4"


def test_all_problems_of_a_file_are_told_and_a_repeated_key_keeps_its_first_value():
    with pytest.raises(RecipeError) as caught:
        parse("a: !x 1\nb: {true: 1, c: 2, c: !y 3}\n", "r.yaml")
    assert [problem.mark.line for problem in caught.value.problems] == [1, 2, 2]


# merging ----------------------------------------------------------------


def merged(base: str, over: str) -> Document:
    document = parse(base, "base")
    merge(document, parse(over, "over"))
    return document


@pytest.mark.parametrize(
    ("base", "over", "value"),
    [
        ("a: {b: 1}", "a: {}", {"a": {"b": 1}}),
        ("a: {0: 1}", "a: {1: 2}", {"a": {1: 2}}),
        ("a: {0: 1}", "a: {1: 2, x: 3}", {"a": {0: 1, 1: 2, "x": 3}}),
        ("a: {x: 1}", "a: {1: 2}", {"a": {1: 2}}),
        ("a: {use: p, b: 1}", "a: {b: 2}", {"a": {"use": "p", "b": 2}}),
        ("a: {b: 1}", "a: {use: p}", {"a": {"b": 1, "use": "p"}}),
        ("a: {use: p, b: 1}", "a: {use: p}", {"a": {"use": "p", "b": 1}}),
        ("a: {use: p, b: 1}", "a: {use: q}", {"a": {"use": "q"}}),
        ("a: {b: 1}", "a: 3", {"a": 3}),
        ("a: 3", "a: {b: 1}", {"a": {"b": 1}}),
        ("a: [1]", "a: null", {"a": None}),
        ("a: {b: 1}", "a: null", {}),
        ("a: {b: 1}", "c: null", {"a": {"b": 1}, "c": None}),
        ("a: {b: {c: {d: 1}}}", "a: {b: {c: {e: 2}}}", {"a": {"b": {"c": {"d": 1, "e": 2}}}}),
    ],
)
def test_how_two_mappings_become_one(base, over, value):
    assert merged(base, over).value == value


def test_what_is_merged_keeps_its_own_places_and_what_is_removed_none():
    document = merged("a: {b: 1, ab: {c: 1}}\nax: 1\n", "a: {ab: {d: 2}}\n")
    assert document.keys[("a",)].file == "over" and document.marks[("a",)].file == "base"
    assert document.keys[("a", "ab")].file == "over" and document.keys[("a", "ab", "c")].file == "base"
    assert document.marks[("a", "ab", "d")].file == "over" and document.marks[("a", "b")].file == "base"
    document = merged("a: {b: 1}\nab: {c: 1}\n", "a: null\n")
    assert [path for path in document.marks if path] == [("ab",), ("ab", "c")]
    assert list(document.keys) == [("ab",), ("ab", "c")]
    document = merged("a: [1, 2, 3]\nb: 1\n", "a: [4]\n")
    assert ("a", 1) not in document.marks and document.marks[("a", 0)].file == "over"
    assert document.marks[("b",)].file == "base"


def test_mappings_below_a_path_may_be_merged_alone():
    base, over = parse("a: {b: 1}\nc: 1\n", "base"), parse("a: {d: 2}\nc: 2\n", "over")
    merge(base, over, ("a",))
    assert base.value == {"a": {"b": 1, "d": 2}, "c": 1}


# includes and overrides -------------------------------------------------


def test_the_place_of_the_whole_is_that_of_the_file_itself_or_else_of_what_it_includes(write):
    assert compose(write(one="a: 1\n", r="# nothing\ninclude: one.yaml\nb: 1\n")).marks[()].file == "r.yaml"
    assert compose(write(one="a: 1\n", r="include: one.yaml\n")).value == {"a": 1}


def test_a_circle_is_told_at_the_include_that_closes_it(write):
    path = write(two="a: 1\n", one="include: [two.yaml, r.yaml]\n", r="include: one.yaml\n")
    with pytest.raises(RecipeError) as caught:
        compose(path)
    (problem,) = caught.value.problems
    assert (problem.path, problem.mark.file) == (("include", 1), "one.yaml") and place(problem.mark) == (1, 21, 6)


def test_an_include_of_one_name_is_marked_where_it_stands(write):
    with pytest.raises(RecipeError) as caught:
        compose(write(r="a: 1\ninclude: nope.yaml\n"))
    assert caught.value.problems[0].path == ("include", 0) and place(caught.value.problems[0].mark) == (2, 10, 9)


@pytest.mark.parametrize("text", ["3", "[a.yaml, 3]", "{a: b}", "null"])
def test_what_names_no_files_is_marked(write, text):
    with pytest.raises(RecipeError) as caught:
        compose(write(a="x: 1\n", r=f"include: {text}\n"))
    (problem,) = caught.value.problems
    assert problem.path == ("include",) and place(problem.mark)[:2] == (1, 10)


def test_a_recipe_below_the_current_folder_is_named_from_there_and_another_in_full(write, tmp_path, monkeypatch):
    path = write(r="a: 1\n")
    assert gather(path).marks[()].file == "r.yaml" == gather(Path("r.yaml")).marks[()].file
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    assert gather(path).marks[()].file == str(path) and gather(Path("../r.yaml")).marks[()].file == "../r.yaml"


@pytest.mark.parametrize(
    ("text", "path", "value", "key"),
    [
        ("abc=12", ("abc",), (5, 2), (1, 3)),
        ("a.b.c=x", ("a", "b", "c"), (7, 1), (1, 5)),
        ("w.100=2.5", ("w", 100), (7, 3), (1, 5)),
        ("a=", ("a",), (3, 1), (1, 1)),
        (" a =7", ("a",), (5, 1), (1, 3)),
        ("a=b=c", ("a",), (3, 3), (1, 1)),
    ],
)
def test_a_set_option_is_marked_in_what_was_typed(write, text, path, value, key):
    document = compose(write(r="z: 1\n"), [text])
    mark, key_mark = document.marks[path], document.keys[path]
    assert (mark.file, mark.line, mark.column, max(1, mark.width), mark.text) == ("--set", 1, *value, text)
    assert (key_mark.file, key_mark.line, key_mark.column, key_mark.width) == ("--set", 1, *key)


def test_a_set_option_makes_the_mappings_around_its_value(write):
    assert compose(write(r="z: 1\n"), ["a.b.c={d: [1, 2]}", "w.5=x"]).value == {
        "z": 1,
        "a": {"b": {"c": {"d": [1, 2]}}},
        "w": {5: "x"},
    }


@pytest.mark.parametrize("text", ["a=1\n", "a=[1,\n2]", "a=1\r"])
def test_a_set_option_is_one_line(write, text):
    with pytest.raises(RecipeError, match="expected one line"):
        compose(write(r="z: 1\n"), [text])


# references -------------------------------------------------------------


def resolved(text: str) -> dict[str, object]:
    document = parse(text, "r.yaml")
    resolve_references(document)
    return document.value


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("a: 1\nb: [{c: '${a}'}, x]", {"a": 1, "b": [{"c": 1}, "x"]}),
        ("a: {b: {c: 2}}\nd: ${a.b}", {"a": {"b": {"c": 2}}, "d": {"c": 2}}),
        ("a: '${b}'\nb: [1, '${c}']\nc: 3", {"a": [1, 3], "b": [1, 3], "c": 3}),
        ("a: '$b'\nb: '{c}'", {"a": "$b", "b": "{c}"}),
        ("a: ${b}\nc: ${b}\nb: null", {"a": None, "c": None, "b": None}),
    ],
)
def test_references_are_followed_wherever_they_stand(text, value):
    assert resolved(text) == value


@pytest.mark.parametrize(
    ("text", "path", "said"),
    [
        ("a: [1, '${x}']", ("a", 1), "${x} leads to no value"),
        ("a: {b: 'x${c}'}", ("a", "b"), "must be the whole value"),
        ("a: '${b}${b}'\nb: 1", ("a",), "must be the whole value"),
        ("a: 1\nb: ${a.c}", ("b",), "${a.c} leads to no value"),
        ("a: [1]\nb: ${a.0}", ("b",), "${a.0} leads to no value"),
        ("a: ${b}\nb: ${c}\nc: ${b}", ("a",), "b -> c -> b"),
    ],
)
def test_a_reference_that_cannot_be_followed_is_told_where_it_stands(text, path, said):
    with pytest.raises(RecipeError) as caught:
        resolved(text)
    problems = [problem for problem in caught.value.problems if problem.path == path]
    assert len(problems) == 1 and said in problems[0].message
    assert problems[0].mark == parse(text, "r.yaml").mark(path)


def test_the_end_of_a_file_that_is_missing_is_its_name(tmp_path):
    with pytest.raises(RecipeError) as caught:
        read(tmp_path / "no.yaml")
    assert caught.value.problems[0].mark is None and str(tmp_path / "no.yaml") in caught.value.problems[0].message
