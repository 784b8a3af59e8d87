"""A recipe of any content is read or refused in a moment, with the place and in words a terminal can show."""

import os
import time
from pathlib import Path

import pytest

from gansemble.recipe import check
from gansemble.recipe.compose import compose
from gansemble.recipe.document import DEEPEST, LONGEST_KEY, MOST_VALUES, RecipeError, parse, read
from gansemble.recipe.names import part_fault, title_fault, title_of
from gansemble.recipe.text import LARGEST


def refused(path: Path, *overrides: str) -> str:
    with pytest.raises(RecipeError) as caught:
        compose(path, overrides)
    return str(caught.value)


def of_text(text: str) -> str:
    with pytest.raises(RecipeError) as caught:
        parse(text, "r.yaml")
    return str(caught.value)


@pytest.mark.parametrize("nested", ["[" * 3000 + "]" * 3000, "{b: " * 3000 + "1" + "}" * 3000])
def test_nesting_deeper_than_any_recipe_is_refused_where_it_gets_too_deep(nested):
    assert f"lists and mappings more than {DEEPEST} deep" in of_text(f"a: {nested}\n")
    parse("a: " + "[" * (DEEPEST - 2) + "]" * (DEEPEST - 2), "r.yaml")


def test_aliases_that_repeat_a_value_thousandfold_are_refused_at_once():
    bomb = "a0: &a0 [x]\n" + "".join(f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 10)}]\n" for i in range(1, 9))
    begun = time.monotonic()
    assert f"more than {MOST_VALUES:,} values, with those that aliases (*name) repeat" in of_text(bomb)
    assert time.monotonic() - begun < 5


def test_aliases_that_nest_one_another_are_no_deeper_than_what_is_written_out():
    chain = "a0: &a0 [x]\n" + "".join(f"a{i}: &a{i} [*a{i - 1}]\n" for i in range(1, 2 * DEEPEST))
    assert f"more than {DEEPEST} deep, with what aliases" in of_text(chain)


def test_references_that_repeat_a_value_thousandfold_are_refused(write):
    tenfold = [", ".join([f'"${{a{before}}}"'] * 10) for before in range(8)]
    bomb = "a0: [x]\n" + "".join(f"a{i}: [{items}]\n" for i, items in enumerate(tenfold, 1))
    assert "values, with those that references (${…}) repeat" in refused(write(r=bomb))


def test_files_that_are_included_twice_each_are_counted_as_often(write):
    files = {f"d{i}": f"include: [d{i + 1}.yaml, d{i + 1}.yaml]\n" for i in range(20)}
    assert "files are included, each counted as often as it is" in refused(
        write(d20="a: 1\n", **files, r="include: d0.yaml")
    )


def test_thousands_of_unknown_sections_are_told_in_a_moment(write):
    begun = time.monotonic()
    with pytest.raises(RecipeError) as caught:
        check.load(write(r="".join(f"section_{i}: 1\n" for i in range(4000))))
    assert len(str(caught.value)) < 100_000 and "the first 100 are shown" in str(caught.value)
    assert time.monotonic() - begun < 5


def test_a_section_of_thousands_of_parts_is_refused(write):
    text = "losses: {" + ", ".join(f"a{i}: {{use: mel_l1}}" for i in range(300)) + "}\n"
    with pytest.raises(RecipeError, match="losses: has 300 parts, at most 200 are built"):
        check.load(write(r=text))


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("a: é\n".encode("latin-1"), "r.yaml:1:4: byte 0xe9 ('é' in Latin-1) is no UTF-8 text; save the file as UTF-8"),
        ("a: 1\nb: ü\xff\n".encode("cp1252"), "r.yaml:2:4: byte 0xfc"),
        ("a: 1\n".encode("utf-16"), "r.yaml: is UTF-16 text; save it as UTF-8"),
        ("a: 1\n".encode("utf-16-be"), "r.yaml: is no UTF-8 text: it begins with a NUL"),
        ("a: 1\n".encode("utf-16-le"), "r.yaml: is no UTF-8 text: it begins with a NUL"),
        (b"a: 1\nb: x\0y\n", "r.yaml:2:5: not YAML: a NUL, which text cannot hold"),
        (b"a: \x1b[31m\n", "r.yaml:1:4: not YAML: the control character U+001B"),
        (b"a: 1\n" + b"#" * LARGEST, "r.yaml: is larger than 256 kB"),
    ],
)
def test_bytes_that_are_no_text_of_a_recipe_are_named(tmp_path, monkeypatch, content, said):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "r.yaml").write_bytes(content)
    assert refused(Path("r.yaml")).startswith(said)


def test_a_byte_order_mark_is_no_part_of_the_first_key(tmp_path):
    (tmp_path / "r.yaml").write_bytes(b"\xef\xbb\xbfa: 1\n")
    assert read(tmp_path / "r.yaml").value == {"a": 1} and read(tmp_path / "r.yaml").key_mark(("a",)).column == 1


def test_a_pipe_or_a_device_is_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "pipe.yaml")
    assert "pipe.yaml: is a pipe; give a recipe file" in refused(tmp_path / "pipe.yaml")
    assert "/dev/zero: is a device" in refused(Path("/dev/zero"))
    (tmp_path / "r.yaml").write_text("include: [pipe.yaml]\n")
    assert "no plain file" in refused(tmp_path / "r.yaml")


@pytest.mark.parametrize("name", ["x" * 5000, '"a\\0b"', "''", ".", "loop.yaml"])
def test_an_include_that_is_no_name_of_a_file_has_its_place(write, tmp_path, name):
    path = write(r=f"include: [{name}]\n")
    (tmp_path / "loop.yaml").symlink_to("loop.yaml")
    assert refused(path).startswith("r.yaml:1:11: include[0]: ")


def test_a_merge_key_is_refused_with_what_to_write_instead():
    assert of_text("a: &a {b: 1}\nc: {<<: *a, d: 2}\n").startswith("r.yaml:2:5: c: merge keys (<<) are not read; write")
    assert parse("'<<': 1\n", "r.yaml").value == {"<<": 1}


@pytest.mark.parametrize("number", ["9" * 19, "1" * 5000, "1e400", "-1e999"])
def test_a_number_that_no_variable_holds_is_refused(number):
    assert of_text(f"a: {number}\n").startswith(f"r.yaml:1:4: a: too large for a number of a recipe: {number[:20]}")


@pytest.mark.parametrize(
    ("key", "said"), [("? [1]\n:", "got a sequence"), ("? {a: 1}\n:", "got a mapping"), ("1.5:", "got 1.5")]
)
def test_a_key_that_is_no_word_is_refused(key, said):
    assert f"keys must be names or whole numbers, {said}" in of_text(f"{key} 1\n")


def test_a_very_long_key_or_line_makes_no_very_long_message():
    key = "k" * (LONGEST_KEY + 1)
    assert f"at most {LONGEST_KEY} characters, this one has" in of_text(f"a: {{? {key} : 1}}\n")
    assert len(of_text(f"a: {{? {key} : 1}}\n")) < 1000
    shown = of_text("a: [" + "1, " * 2000 + "1__0]\n").splitlines()[1:3]
    assert shown[0].endswith("1__0]") and shown[0].index("1__0") == shown[1].index("^^^^"), "the part around the value"


def test_a_message_shows_escape_characters_as_codes(write):
    with pytest.raises(RecipeError) as caught:
        check.load(write(r='"\\e[31mred\\u202e": 1\n'))
    assert "\\x1b[31mred\\u202e: a recipe has no such section" in str(caught.value) and "\x1b" not in str(caught.value)


@pytest.mark.parametrize(
    "override",
    [
        "a=1 # of 2",
        "a=# 1",
        "a=|",
        "a=>",
        "²=1",
        "a\0=1",
        "a =b: c",
        f"{'a.' * 60}b=1",
        f"a={'x' * 20_000}",
        "a=*b",
        "a=&b [*b]",
    ],
)
def test_an_override_of_any_form_is_refused_in_words_or_read_whole(write, override):
    if override == "²=1":
        assert compose(write(r="a: 1\n"), [override]).value == {"a": 1, "²": 1}
        return
    assert refused(write(r="a: 1\n"), override).startswith("--set ")


def test_a_number_sign_within_quotes_or_a_word_is_no_comment(write):
    path = write(r="a: 1\n")
    assert compose(path, ["a='x #1'"]).value == {"a": "x #1"}
    assert compose(path, ["a=x#1"]).value == {"a": "x#1"}
    assert compose(path, ["true.null=1"]).value == {"a": 1, "true": {"null": 1}}, "keys of an override are text"


@pytest.mark.parametrize(
    "name",
    ["", " ", "..", ".", ".hidden", "-rf", "../../x", "a/b", "a\\b", "a\nb", "\x1b[2J", "a\u202eb", "x" * 201, " a"],
)
def test_a_recipe_has_a_name_that_a_file_can_have(base, name):
    quoted = '"' + "".join(each if each.isalnum() else f"\\u{ord(each):04x}" for each in name) + '"'
    with pytest.raises(RecipeError, match="name: "):
        check.load(base, [f"name={quoted}"])
    assert title_fault(title_of(name)) is None


@pytest.mark.parametrize("name", ["HiFi-GAN V1, small", "DDFN on ESC-10", "été · 2", "7"])
def test_a_common_name_is_fine(name):
    assert title_fault(name) is None and title_of(name) == name


@pytest.mark.parametrize("name", ["", "..", "a.b", "a/b", "-a", "a\nb", "x" * 65, 1, " a", "a ", "a\\b", "$(x)"])
@pytest.mark.parametrize("section", ["losses", "metrics", "discriminators", "test_degradations"])
def test_a_part_has_a_name_that_curves_and_files_can_have(base, section, name):
    assert part_fault(name) is not None
    with pytest.raises(RecipeError, match=rf"{section}.*the name "):
        document = f"{{{name!r}: {{use: x}}}}" if isinstance(name, int) else None
        quoted = document or '{"' + "".join(e if e.isalnum() else f"\\u{ord(e):04x}" for e in name) + '": {use: x}}'
        check.load(base, [f"{section}={quoted}"])


@pytest.mark.parametrize("name", ["mel", "mel_l1", "r1 penalty", "8k", "mel-2", "hauteur_é"])
def test_a_common_name_of_a_part_is_fine(name):
    assert part_fault(name) is None
