"""Includes, overrides and references: what wins, what goes, and where a message points."""

import pytest

from gansemble.recipe.compose import compose
from gansemble.recipe.document import RecipeError


def value(path, *overrides):
    return compose(path, overrides).value


def fault(path, *overrides) -> str:
    """The message, without the closing count."""
    with pytest.raises(RecipeError) as caught:
        compose(path, overrides)
    return str(caught.value).rpartition("\n\n")[0]


def test_later_includes_win_and_the_file_itself_wins_over_them(write):
    path = write(one="a: 1\nb: 1\nc: 1\n", two="b: 2\nc: 2\n", r="include: [one.yaml, two.yaml]\nc: 3\n")
    assert value(path) == {"a": 1, "b": 2, "c": 3}


def test_an_include_may_be_one_name_and_include_others_and_is_relative_to_its_file(write, tmp_path):
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "base.yaml").write_text("a: 1\n")
    (tmp_path / "sub" / "middle.yaml").write_text("include: base.yaml\nb: 2\n")
    assert value(write(r="include: sub/middle.yaml\n")) == {"a": 1, "b": 2}


def test_one_file_may_be_included_by_two_others(write):
    path = write(x="a: 1\n", y="include: x.yaml\nb: 1\n", z="include: x.yaml\nc: 1\n", r="include: [y.yaml, z.yaml]\n")
    assert value(path) == {"a": 1, "b": 1, "c": 1}


def test_mappings_merge_deeply_and_lists_are_replaced(write):
    path = write(one="m: {x: {p: 1, q: [1, 2]}, y: 1}\n", r="include: one.yaml\nm: {x: {q: [3]}, z: 2}\n")
    assert value(path) == {"m": {"x": {"p": 1, "q": [3]}, "y": 1, "z": 2}}


def test_null_removes_a_mapping_and_sets_a_value(write):
    path = write(one="d: {a: {use: p}, b: {use: q}}\nv: 1\n", r="include: one.yaml\nd: {a: null}\nv: null\n")
    assert value(path) == {"d": {"b": {"use": "q"}}, "v": None}


def test_another_use_replaces_the_part_with_all_its_keys(write):
    path = write(
        one="g: {use: a, x: 1}\nh: {use: a, x: 1}\n", r="include: one.yaml\ng: {use: b, y: 2}\nh: {use: a, y: 2}\n"
    )
    assert value(path) == {"g": {"use": "b", "y": 2}, "h": {"use": "a", "x": 1, "y": 2}}


def test_a_weight_schedule_is_replaced_and_not_merged(write):
    path = write(one="l: {use: m, weight: {0: 45, 100: 5}}\n", r="include: one.yaml\nl: {weight: {0: 1}}\n")
    assert value(path) == {"l": {"use": "m", "weight": {0: 1}}}


def test_a_replaced_part_keeps_no_marks_of_the_old_one(write):
    document = compose(write(one="g: {use: a, x: 1}\n", r="include: one.yaml\ng: {use: b}\n"))
    assert ("g", "x") not in document.marks and ("g", "x") not in document.keys
    assert document.mark(("g", "use")).file == "r.yaml"


def test_marks_point_into_the_file_a_value_came_from(write):
    document = compose(write(one="m: {x: 1, y: 2}\n", r="include: one.yaml\nm: {y: 3}\n"))
    assert [document.mark(("m", key)).file for key in "xy"] == ["one.yaml", "r.yaml"]


def test_overrides_come_last_in_order_and_are_read_as_yaml(write):
    path = write(r="a: {x: 1}\nb: 2\n")
    changed = value(path, "a.x=1e-4", "a.y=[1, yes]", "c.d.e={f: true}", "b=3", "b=4")
    assert changed == {"a": {"x": 1e-4, "y": [1, "yes"]}, "b": 4, "c": {"d": {"e": {"f": True}}}}


def test_an_override_to_null_removes_a_mapping(write):
    assert value(write(r="a: {x: {use: p}}\n"), "a.x=null") == {"a": {}}
    assert value(write(r="a: {x: {use: p}}\n"), "a.x=") == {"a": {}}


def test_a_whole_number_in_an_override_is_a_step_of_a_schedule(write):
    path = write(r="w: {0: 45}\n")
    assert value(path, "w.0=7") == {"w": {0: 7}}


def test_an_override_has_marks_of_what_was_typed(write):
    document = compose(write(r="a: {x: 1}\n"), ["a.x=five"])
    assert document.mark(("a", "x")).caret() == "    1 | a.x=five\n      |     ^^^^"
    assert document.key_mark(("a", "x")).caret() == "    1 | a.x=five\n      | ^^^"
    assert document.mark(("a", "x")).file == "--set"


@pytest.mark.parametrize("text", ["a", "=3", "a..b=3", ".a=3", "", "="])
def test_an_override_without_key_and_value_is_refused(write, text):
    expected = f"--set {text}: expected key.path=value, such as losses.mel.weight=30"
    assert fault(write(r="a: 1\n"), text) == expected


@pytest.mark.parametrize("text", ["a={b: [1, 2", "a=x: y"])
def test_an_override_that_is_no_yaml_is_refused(write, text):
    assert fault(write(r="a: 1\n"), text).startswith(f"--set {text}:1:")


def test_an_override_sets_its_own_key_and_no_other(write):
    with pytest.raises(RecipeError):
        compose(write(r="a: 1\n"), ["a=1\nb: 2"])


def test_a_missing_include_is_marked(write):
    assert fault(write(one="", r="include: [one.yaml, nope.yaml]\n")) == (
        "r.yaml:1:21: include[1]: no such file: nope.yaml\n"
        "    1 | include: [one.yaml, nope.yaml]\n"
        "      |                     ^^^^^^^^^"
    )


@pytest.mark.parametrize("chain", ["r.yaml", "one.yaml"])
def test_includes_in_a_circle_are_refused(write, chain):
    assert "includes itself" in fault(write(one="include: r.yaml\n", r=f"include: {chain}\n"))


@pytest.mark.parametrize("text", ["3", "[3]", "{a: b}"])
def test_an_include_that_names_no_file_is_refused(write, text):
    assert "expected a list of recipe files, relative to this one" in fault(write(r=f"include: {text}\n"))


def test_a_missing_recipe_is_named(tmp_path):
    assert fault(tmp_path / "nope.yaml") == f"{tmp_path}/nope.yaml: no such recipe file"


def test_a_reference_takes_the_composed_value_whole_mappings_too(write):
    path = write(
        one="audio: {hop: 1}\n", r='include: one.yaml\na: "${audio.hop}"\nb: [1, "${audio}"]\naudio: {hop: 256}\n'
    )
    assert value(path) == {"audio": {"hop": 256}, "a": 256, "b": [1, {"hop": 256}]}


def test_an_override_reaches_what_refers_to_it_and_references_chain(write):
    assert value(write(r="a: 1\nb: ${a}\nc: ${b}\n"), "a=2") == {"a": 2, "b": 2, "c": 2}


def test_a_reference_inside_text_is_refused(write):
    assert fault(write(r="a: 1\nb: x${a}\n")).splitlines()[0] == (
        "r.yaml:2:4: b: a reference must be the whole value, got 'x${a}'"
    )


def test_a_dangling_reference_names_a_near_one(write):
    assert fault(write(r="audio: {hop: 1}\na: ${audio.hpo}\n")) == (
        "r.yaml:2:4: a: ${audio.hpo} leads to no value of this recipe; did you mean 'audio.hop'?\n"
        "    2 | a: ${audio.hpo}\n"
        "      |    ^^^^^^^^^^^^"
    )


@pytest.mark.parametrize("text", ["a: ${a}\n", "a: ${b}\nb: ${a}\n", 'a: {b: "${a}"}\n'])
def test_references_in_a_circle_are_refused(write, text):
    assert "references form a circle: " in fault(write(r=text))


def test_all_bad_references_are_reported_at_once(write):
    assert fault(write(r="a: ${x}\nb: ${y}\n")).count("leads to no value") == 2
