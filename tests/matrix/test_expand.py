"""A matrix file becomes cells: each choice in its place, each cell a recipe, each misfit with its reason and line."""

import json
from pathlib import Path

import pytest

from gansemble.errors import GansembleError
from gansemble.matrix.expand import MOST, Cell, Matrix, expand
from gansemble.recipe import check
from gansemble.recipe.document import RecipeError
from gansemble.recipe.fill import fill

SHIPPED = sorted((Path(__file__).parents[2] / "egs").glob("*/*/matrix/*.yaml"))
#: Shipped matrices: recipe folder and name -> cells, possible ones.
COUNTS = {
    "ljspeech/specdiff/mini": (18, 12),
    "ljspeech/specdiff/small": (18, 18),
    "ljspeech/specdiff/study": (24, 24),
    "ljspeech/specdiff/study_v1": (24, 24),
    "esc50/ddfn/study": (21, 21),
    "esc50/ddfn/tables": (48, 48),
    "urbansound8k/ddfn/tables": (32, 32),
    "common_voice/ddfn/tables": (32, 32),
    "cifar10/ddfn/tables": (4, 4),
    "folder/superres/weights": (16, 16),
    "musdb18/superres/weights": (16, 16),
}
BASE = """\
audio: {sample_rate: 22050}
corpus: {use: folder}
generator: {use: vocos, dim: 32, blocks: 2}
discriminators:
  mpd: {use: multi_period, periods: [2, 3], channels: [4, 8]}
  msd: {use: multi_scale, width: 0.125}
objective: {use: lsgan}
losses:
  mel: {use: mel_l1, weight: 45}
  features: {use: feature_matching}
metrics: {mel_distance: {use: mel_distance}, snr: {use: snr}}
plan: {steps: 10, batch_size: 4}
optimisers:
  generator: {use: adamw, lr: 1e-3}
  discriminators: {use: adamw, lr: 1e-3}
"""


@pytest.fixture
def matrix(tmp_path, monkeypatch):
    """``matrix(axes)`` expands the sound recipe with these axes, given as YAML of one level, from ``m.yaml``."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "base.yaml").write_text(BASE)

    def expanded(axes: str, *overrides: str, more: str = "") -> Matrix:
        body = "".join(f"  {line}\n" for line in axes.splitlines())
        Path("m.yaml").write_text(f"include: [base.yaml]\n{more}matrix:\n{body}")
        return expand(Path("m.yaml"), overrides)

    return expanded


def value(cell: Cell, key: str):
    """A value of a cell's recipe by its dotted key; ``absent`` where there is none."""
    found = cell.document.value
    for name in key.split("."):
        if not isinstance(found, dict) or name not in found:
            return "absent"
        found = found[name]
    return found


def values(expanded: Matrix, key: str) -> list:
    return [value(cell, key) for cell in expanded.cells]


def message(run, *arguments) -> str:
    """What a wrong file is answered with, without the last line."""
    with pytest.raises(RecipeError) as caught:
        run(*arguments)
    return str(caught.value).rpartition("\n\n")[0]


# axes and choices --------------------------------------------------------


def test_every_combination_is_a_cell_in_the_order_of_the_axes(matrix):
    found = matrix("generator: [vocos, hifigan]\nseed: [1, 2, 3]")
    assert found.axes == {"generator": ["vocos", "hifigan"], "seed": ["1", "2", "3"]}
    assert [cell.name for cell in found.cells] == [f"{g}+{s}" for g in ("vocos", "hifigan") for s in (1, 2, 3)]
    assert found.cells[4].choices == {"generator": "hifigan", "seed": "2"}
    assert all(cell.possible for cell in found.cells)


def test_a_mapping_names_the_choices(matrix):
    found = matrix("generator: {small: {dim: 8}, other: {use: hifigan}}\nplan.batch_size: {few: 2, many: 8}")
    assert found.axes == {"generator": ["small", "other"], "plan.batch_size": ["few", "many"]}
    assert [cell.name for cell in found.cells] == ["small+few", "small+many", "other+few", "other+many"]
    assert values(found, "plan.batch_size") == [2, 8, 2, 8]


def test_a_cells_recipe_is_the_one_written_by_hand(matrix):
    cell = matrix("generator: [{use: vocos, dim: 8}]\ndiscriminators: [[mpd]]\nseed: [7]").cells[0]
    by_hand = BASE.replace("dim: 32", "dim: 8").replace("steps: 10", "seed: 7, steps: 10")
    lines = [line for line in by_hand.splitlines(keepends=True) if "msd" not in line]
    Path("hand.yaml").write_text("name: vocos · mpd · 7\n" + "".join(lines))
    assert fill(cell.recipe) == fill(check.load(Path("hand.yaml")))


def test_the_same_part_is_merged_and_another_takes_its_place(matrix):
    found = matrix("generator: [vocos, {use: vocos, dim: 8}, {dim: 16}, {use: hifigan, channels: 64}, hifigan]")
    assert [value(cell, "generator") for cell in found.cells] == [
        {"use": "vocos", "dim": 32, "blocks": 2},
        {"use": "vocos", "dim": 8, "blocks": 2},
        {"use": "vocos", "dim": 16, "blocks": 2},
        {"use": "hifigan", "channels": 64},
        {"use": "hifigan"},
    ]


def test_cells_do_not_share_what_they_change(matrix):
    found = matrix("generator: [{dim: 8}, vocos]\nlosses.mel.weight: [1, {0: 45, 10: 5}]")
    assert values(found, "generator.dim") == [8, 8, 32, 32]
    assert values(found, "losses.mel.weight") == [1, {0: 45, 10: 5}] * 2


def test_a_list_of_names_keeps_those_of_a_section_of_many(matrix):
    found = matrix("discriminators: [[mpd], [msd, mpd], []]\nmetrics: {own: [mel_distance]}")
    assert [sorted(value(cell, "discriminators")) for cell in found.cells] == [["mpd"], ["mpd", "msd"], []]
    assert value(found.cells[0], "discriminators.mpd.periods") == [2, 3]
    assert [list(value(cell, "metrics")) for cell in found.cells] == [["mel_distance"]] * 3


def test_a_mapping_of_parts_keeps_merges_and_adds(matrix):
    found = matrix("discriminators:\n  wide: {mpd: {periods: [2, 5]}, own: {use: multi_scale, scales: 1}}")
    assert value(found.cells[0], "discriminators") == {
        "mpd": {"use": "multi_period", "periods": [2, 5], "channels": [4, 8]},
        "own": {"use": "multi_scale", "scales": 1},
    }


def test_seed_and_key_paths_are_axes(matrix):
    found = matrix("seed: [5, 6]\nplan.segment: [4096]\ndiscriminators.mpd.periods: [[2, 7]]\nvalidation.every: [3]")
    assert values(found, "plan.seed") == [5, 6]
    assert {cell.recipe.plan.seed for cell in found.cells} == {5, 6}
    cell = found.cells[0]
    assert value(cell, "plan") == {"steps": 10, "batch_size": 4, "segment": 4096, "seed": 5}
    assert value(cell, "discriminators.mpd") == {"use": "multi_period", "periods": [2, 7], "channels": [4, 8]}
    assert cell.recipe.validation.every == 3
    assert cell.name == "5+4096+2-7+3"


def test_null_removes_a_part_and_unsets_a_value(matrix):
    found = matrix(
        "losses.features: [null]\nplan.ema: [null, 0.5]\nnoise_injector: [null]", "noise_injector.use=diffusion"
    )
    assert values(found, "losses.features") == ["absent", "absent"]
    assert [cell.recipe.plan.ema for cell in found.cells] == [None, 0.5]
    assert all("noise_injector" not in cell.recipe.single for cell in found.cells)
    assert [cell.name for cell in found.cells] == ["none+none+none", "none+0.5+none"]


def test_null_empties_a_section_of_many(matrix):
    cell = matrix("metrics: [null]\nvalidation.metrics: [[]]").cells[0]
    assert cell.possible and cell.recipe.many["metrics"] == {}


def test_a_choice_may_bring_a_part_that_the_recipe_lacks(matrix):
    found = matrix("noise_injector: {none: null, white: {use: diffusion, schedule: {t_max: 20}}}")
    assert "noise_injector" not in found.cells[0].recipe.single
    assert value(found.cells[1], "noise_injector") == {"use": "diffusion", "schedule": {"t_max": 20}}
    assert [cell.possible for cell in found.cells] == [True, True]


def test_references_follow_the_changed_value(matrix):
    more = "validation: {every: '${plan.batch_size}'}\n"
    found = matrix("plan.batch_size: [2, 8]\nplan.save_every: ['${plan.steps}']", more=more)
    assert [cell.recipe.validation.every for cell in found.cells] == [2, 8]
    assert [cell.recipe.plan.save_every for cell in found.cells] == [10, 10]


def test_set_changes_what_lies_under_the_choices_and_the_axes_themselves(matrix):
    found = matrix("plan.batch_size: [2]\nseed: [1]", "plan.batch_size=16", "plan.steps=3", "matrix.seed=[8, 9]")
    assert values(found, "plan.batch_size") == [2, 2]
    assert values(found, "plan.steps") == [3, 3]
    assert values(found, "plan.seed") == [8, 9]


def test_axes_of_an_included_matrix_are_merged_and_can_be_removed(matrix):
    matrix("generator: {a: vocos, b: hifigan}\nseed: [1, 2]")
    Path("n.yaml").write_text("include: [m.yaml]\nmatrix: {generator: null, seed: [3]}\n")
    found = expand(Path("n.yaml"))
    assert found.axes == {"seed": ["3"]} and found.name == "n"


def test_the_comparison_is_called_after_the_recipe_or_its_file(matrix):
    assert matrix("seed: [1]").name == "m"
    found = matrix("seed: [1]\ngenerator: [vocos]", more="name: which noise\n")
    assert found.name == "which noise" and found.cells[0].recipe.name == "1 · vocos"


# labels and folders ------------------------------------------------------


@pytest.mark.parametrize(
    ("choice", "label"),
    [
        ("null", "none"),
        ("true", "true"),
        ("0.5", "0.5"),
        ("1e-3", "0.001"),
        ("text", "text"),
        ("[a, b]", "a+b"),
        ("[]", "none"),
        ("{use: vocos, dim: 3}", "vocos"),
        ("{mpd: {}, msd: {}}", "mpd+msd"),
    ],
)
def test_a_choice_in_a_list_is_labelled_by_what_it_is(matrix, choice, label):
    assert matrix(f"plan.ema: [{choice}]").axes == {"plan.ema": [label]}


def test_choices_of_one_label_are_numbered(matrix):
    found = matrix("generator: [vocos, {use: vocos, dim: 8}, {use: vocos, dim: 9}]")
    assert found.axes["generator"] == ["vocos", "vocos 2", "vocos 3"]
    assert [cell.name for cell in found.cells] == ["vocos", "vocos-2", "vocos-3"]
    assert values(found, "generator.dim") == [32, 8, 9]


@pytest.mark.parametrize(
    ("label", "folder"),
    [
        ("two words", "two-words"),
        ("a/b\\c", "a-b-c"),
        ("..", "x"),
        ("../up", "up"),
        ("-rf", "rf"),
        ("mpd+mrd", "mpd-mrd"),
        ("50 % | <b>", "50-b"),
        ("größe", "gr-e"),
        ("雑音", "x"),
        ("$(id)`id`", "id-id"),
        ("v1.5_a", "v1.5_a"),
    ],
)
def test_a_folders_name_is_safe_whatever_the_label(matrix, label, folder):
    found = matrix(f"generator: {{'{label}': vocos}}")
    assert found.axes == {"generator": [label]} and found.cells[0].name == folder


def test_a_name_longer_than_a_file_system_takes_is_cut_and_stays_apart(matrix):
    names = [cell.name for cell in matrix(f"generator: {{{'a' * 300}: {{}}, {'a' * 301}: {{}}}}\nseed: [1]").cells]
    assert len(set(names)) == 2 and all(name.startswith("a" * 100) and len(name) <= 200 for name in names)


def test_labels_that_would_share_a_folder_are_refused(matrix):
    text = message(matrix, "generator: {a b: {dim: 8}, other: {}, a/b: {dim: 9}}")
    assert text == (
        "m.yaml:3:3: matrix.generator: choices 'a b' and 'a/b' would share one folder; name them apart\n"
        "    3 |   generator: {a b: {dim: 8}, other: {}, a/b: {dim: 9}}\n"
        "      |   ^^^^^^^^^"
    )


def test_a_cell_is_found_by_name_and_a_near_one_is_named(matrix):
    found = matrix("generator: [vocos, hifigan]\nseed: [1]")
    assert found.cell("hifigan+1") is found.cells[1]
    with pytest.raises(GansembleError) as caught:
        found.cell("hifgan+1")
    assert str(caught.value) == ("m.yaml: no cell 'hifgan+1'; did you mean 'hifigan+1'?; cells: vocos+1, hifigan+1")


# what is wrong -----------------------------------------------------------

GOLDEN = {
    "axis": (
        "generatr: [vocos]",
        "m.yaml:3:3: matrix.generatr: no such section; did you mean 'generator'?\n"
        "    3 |   generatr: [vocos]\n"
        "      |   ^^^^^^^^",
    ),
    "section of a key path": (
        "plna.steps: [2]",
        "m.yaml:3:3: matrix.plna.steps: no such section; did you mean 'plan'?\n"
        "    3 |   plna.steps: [2]\n"
        "      |   ^^^^^^^^^^",
    ),
    "axis unlike any": (
        "zzz: [1]",
        "m.yaml:3:3: matrix.zzz: no such section; an axis is a section, seed, or a key path such as plan.batch_size\n"
        "    3 |   zzz: [1]\n"
        "      |   ^^^",
    ),
    "no choices": (
        "seed: []",
        "m.yaml:3:9: matrix.seed: expected a list of choices, or choices by name, got []\n"
        "    3 |   seed: []\n"
        "      |         ^^",
    ),
    "no named choices": (
        "seed: {}",
        "m.yaml:3:9: matrix.seed: expected a list of choices, or choices by name, got {}\n"
        "    3 |   seed: {}\n"
        "      |         ^^",
    ),
    "one value": (
        "seed: 5",
        "m.yaml:3:9: matrix.seed: expected a list of choices, or choices by name, got 5\n"
        "    3 |   seed: 5\n"
        "      |         ^",
    ),
    "nothing": (
        "seed:",
        "m.yaml:3:8: matrix.seed: expected a list of choices, or choices by name, got None\n"
        "    3 |   seed:\n"
        "      |        ^",
    ),
    "one part": (
        "generator: {use: vocos, dim: 8}",
        "m.yaml:3:14: matrix.generator: expected a list of choices, or choices by name, "
        "got {'use': 'vocos', 'dim': 8}\n"
        "    3 |   generator: {use: vocos, dim: 8}\n"
        "      |              ^^^^^^^^^^^^^^^^^^^^",
    ),
}


@pytest.mark.parametrize("axes, text", GOLDEN.values(), ids=GOLDEN)
def test_a_wrong_axis_is_shown_where_it_stands(matrix, axes, text):
    assert message(matrix, axes) == text


WRONG_CHOICES = {
    "misspelt part": (
        "generator: [vocos, hifigna]",
        "m.yaml:3:22: generator.use: no generator named 'hifigna'; did you mean 'hifigan'?\n"
        "    3 |   generator: [vocos, hifigna]\n"
        "      |                      ^^^^^^^",
    ),
    "misspelt parameter": (
        "generator: {a: {}, b: {dmi: 8}}",
        "m.yaml:3:26: generator.dmi: vocos takes no such parameter; did you mean 'dim'?\n"
        "    3 |   generator: {a: {}, b: {dmi: 8}}\n"
        "      |                          ^^^",
    ),
    "wrong type on a key path": (
        "plan.batch_size: [4, four]",
        "m.yaml:3:24: plan.batch_size: expected int, got text 'four'\n"
        "      (batch_size: int from 1 to 1000000 = 16 of gansemble.recipe.sections:Plan)\n"
        "    3 |   plan.batch_size: [4, four]\n"
        "      |                        ^^^^",
    ),
    "unknown discriminator": (
        "discriminators: [[mpd], [mpd, mds]]",
        "m.yaml:3:27: matrix.discriminators[1]: the recipe's discriminators have no 'mds'; did you mean 'msd'? "
        "(it has: mpd, msd)\n"
        "    3 |   discriminators: [[mpd], [mpd, mds]]\n"
        "      |                           ^^^^^^^^^^",
    ),
    "unknown regulariser where there is none": (
        "regularisers: {without: [], with: [r1]}",
        "m.yaml:3:37: matrix.regularisers.with: the recipe's regularisers have no 'r1' (it has: none)\n"
        "    3 |   regularisers: {without: [], with: [r1]}\n"
        "      |                                     ^^^^",
    ),
    "a name where names were meant": (
        "discriminators: [[mpd], mpd]",
        "m.yaml:3:27: matrix.discriminators[1]: expected a list of names, such as [mpd], or parts by name, got 'mpd'\n"
        "    3 |   discriminators: [[mpd], mpd]\n"
        "      |                           ^^^",
    ),
    "a number where names were meant": (
        "discriminators: [[mpd], 1]",
        "m.yaml:3:27: matrix.discriminators[1]: expected a list of names, such as [1], or parts by name, got 1\n"
        "    3 |   discriminators: [[mpd], 1]\n"
        "      |                           ^",
    ),
    "a reference to nothing": (
        "plan.steps: [4, '${plan.stepz}']",
        "m.yaml:3:19: plan.steps: ${plan.stepz} leads to no value of this recipe; did you mean 'plan.steps'?\n"
        "    3 |   plan.steps: [4, '${plan.stepz}']\n"
        "      |                   ^^^^^^^^^^^^^^^",
    ),
}


@pytest.mark.parametrize("axes, text", WRONG_CHOICES.values(), ids=WRONG_CHOICES)
def test_a_wrong_choice_makes_its_cells_impossible_and_is_shown_where_it_stands(matrix, axes, text):
    good, bad = matrix(axes).cells
    assert good.possible and not bad.possible
    assert [str(problem) for problem in bad.problems] == [text]


def test_a_misfit_names_both_places(matrix):
    cell = matrix("generator: [vocos, {use: hifigan, upsample_rates: [8, 8, 2], upsample_kernels: [16, 16, 4]}]").cells[
        1
    ]
    (problem,) = cell.problems
    assert (problem.mark.place, problem.other) == ("m.yaml:3:53", "audio.hop is 256 (its default)")
    assert problem.message.startswith("hifigan makes 128 samples of each frame, but audio.hop is 256")


@pytest.mark.parametrize("text", ["matrix: {}\n", "matrix: [a]\n", "matrix: vocos\n"])
def test_axes_must_be_given_by_name(tmp_path, monkeypatch, text):
    monkeypatch.chdir(tmp_path)
    Path("m.yaml").write_text(BASE + text)
    wanted = "matrix: expected axes by name, such as matrix: {generator: [mine, yours], seed: [1, 2]}\n"
    assert message(expand, Path("m.yaml")).startswith(f"m.yaml:16:1: {wanted}   16 | {text}")


def test_a_recipe_without_a_matrix_is_refused_by_name(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("base.yaml").write_text(BASE)
    assert message(expand, Path("base.yaml")).startswith("matrix: base.yaml: expected axes by name, such as matrix: {")


def test_too_many_cells_are_refused_before_any_is_made(matrix, monkeypatch):
    monkeypatch.setattr("gansemble.matrix.expand._cell", None)
    axes = "\n".join(f"plan.{key}: {list(range(1, 14))}" for key in ("steps", "seed", "keep"))
    assert message(matrix, axes) == (
        f"m.yaml:2:1: matrix: has 2197 cells, at most {MOST} are run; leave some choices out\n"
        "    2 | matrix:\n"
        "      | ^^^^^^"
    )


def test_a_matrix_of_impossible_cells_expands_with_every_reason(matrix):
    found = matrix("discriminators: [[]]\nseed: [1, 2]")
    assert [cell.possible for cell in found.cells] == [False, False]
    assert [[p.path for p in cell.problems] for cell in found.cells] == [[("losses", "features", "use")] * 2] * 2


@pytest.mark.parametrize(
    ("axes", "change"),
    [
        ("discriminators: [[]]", {"discriminators": None}),
        ("objective: [null]", {"objective": None}),
        ("plan.segment: [1000]", {"plan": {"segment": 1000}}),
        ("audio.hop: [100]", {"audio": {"hop": 100}}),
        ("plan.accumulate: [3]", {"plan": {"accumulate": 3}}),
        ("generator: [{use: hifigan, kernels: [2, 4, 6]}]", {"generator": {"use": "hifigan", "kernels": [2, 4, 6]}}),
        ("generator: [null]", {"generator": None}),
        ("corpus: [null]", {"corpus": None}),
        ("optimisers: [[generator]]", {"optimisers": {"discriminators": None}}),
        ("validation.best: [snr]", {"validation": {"best": "snr"}}),
    ],
)
def test_an_impossible_cell_says_what_the_same_recipe_says(matrix, axes, change):
    cell = matrix(axes).cells[0]
    Path("same.yaml").write_text(
        "include: [base.yaml]\n" + "".join(f"{key}: {json.dumps(new)}\n" for key, new in change.items())
    )
    with pytest.raises(RecipeError) as caught:
        check.load(Path("same.yaml"))
    assert not cell.possible
    assert {(p.path, p.message) for p in cell.problems} == {(p.path, p.message) for p in caught.value.problems}


def test_every_shipped_matrix_is_counted_here():
    assert {f"{path.parts[-4]}/{path.parts[-3]}/{path.stem}" for path in SHIPPED} == set(COUNTS)


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: f"{path.parts[-4]}/{path.parts[-3]}/{path.stem}")
def test_a_shipped_matrix_expands(path):
    cells = expand(path).cells
    assert (len(cells), sum(cell.possible for cell in cells)) == COUNTS[
        f"{path.parts[-4]}/{path.parts[-3]}/{path.stem}"
    ]
    assert len({cell.name for cell in cells}) == len(cells)


def test_the_mini_matrix_lacks_what_has_no_features_to_match():
    path = next(path for path in SHIPPED if path.stem == "mini")
    cells = expand(path).cells
    assert {cell.choices["discriminators"] for cell in cells if not cell.possible} == {"none"}
    assert all(any("needs features" in p.message for p in cell.problems) for cell in cells if not cell.possible)


@pytest.mark.parametrize("name", ["study", "study_v1"])
def test_the_rows_of_the_study_differ_in_discriminators_and_noise_alone(name):
    path = next(path for path in SHIPPED if path.stem == name and "specdiff" in path.parts)
    rows = {}
    for cell in expand(path).cells:
        if cell.choices["seed"] == "1":
            value = fill(cell.recipe)
            noise, judges = value.pop("noise_injector", None), set(value.pop("discriminators"))
            rows[cell.choices["recipe"]] = (noise, judges, value | {"name": ""})
    named, first = list(rows), next(iter(rows.values()))
    assert named[:2] == ["HiFi-GAN, MPD and MSD", "HiFi-GAN, MPD and MRD"] and first[1] == {"mpd", "msd"}
    for label, (noise, judges, rest) in rows.items():
        assert rest == first[2]
        assert (noise is None) == label.startswith("HiFi-GAN") and (judges == {"mpd", "mrd"} or label == named[0])
    told = {label: (noise["shaping"], noise["schedule"].get("fixed_t")) for label, (noise, *_) in rows.items() if noise}
    assert list(told.values()) == [
        ("none", None), ("inverse", None), ("envelope", None), ("inverse", 10), ("inverse", 100), ("inverse", 500)
    ]  # fmt: skip


PIECES = """\
  recipe:
    plain: {}
    wide: {generator: {dim: 64}, plan: {batch_size: 4}}
    without: {discriminators: {msd: null}}
  recipe.sizes: {short: {plan: {segment: 4096}}, long: {plan: {segment: 16384}}}
"""


def test_pieces_of_a_recipe_are_merged_over_the_rest(tmp_path):
    """Deeply, null removes, and two axes of pieces combine."""
    path = tmp_path / "pieces.yaml"
    path.write_text(f"{BASE}matrix:\n{PIECES}")
    cells = {cell.name: cell for cell in expand(path).cells}
    assert list(cells) == [f"{a}+{b}" for a in ("plain", "wide", "without") for b in ("short", "long")]
    wide = cells["wide+long"].document.value
    assert (wide["generator"]["dim"], wide["generator"]["blocks"]) == (64, 2)
    assert (wide["plan"]["batch_size"], wide["plan"]["segment"]) == (4, 16384)
    assert cells["plain+short"].document.value["generator"]["dim"] == 32
    assert "msd" not in cells["without+short"].document.value["discriminators"]


@pytest.mark.parametrize(
    ("axes", "message"),
    [
        ("  recipe: [a, b]\n", "expected pieces of a recipe by name"),
        ("  recipe: {a: 3}\n", "expected a piece of a recipe, got 3"),
        ("  recipe: {a: {genrator: {dim: 3}}}\n", "no such section; did you mean 'generator'?"),
        ("  seed: [1, 2]\n  recipe: {a: {}, b: {seed: 7}}\n", "sets plan.seed, which the axis seed sets too"),
        (
            "  generator: [vocos]\n  recipe: {a: {generator: {dim: 3}}}\n",
            "sets generator.dim, which the axis generator",
        ),
        (
            "  recipe.one: {a: {plan: {batch_size: 4}}}\n  recipe.two: {b: {plan: {batch_size: 2}}}\n",
            "sets plan.batch_size, which the axis recipe.two sets too",
        ),
        ("  seed: [1, 2]\n  plan.seed: [3, 4]\n", "sets plan.seed, which the axis seed sets too"),
        (
            "  plan: {small: {batch_size: 2}}\n  plan.batch_size: [3, 4]\n",
            "sets plan.batch_size, which the axis plan sets too",
        ),
    ],
)
def test_pieces_that_cannot_be_merged_are_refused(tmp_path, axes, message):
    path = tmp_path / "pieces.yaml"
    path.write_text(f"{BASE}matrix:\n{axes}")
    with pytest.raises(RecipeError) as caught:
        expand(path)
    assert message in str(caught.value)


def test_an_axis_may_change_what_another_chose(tmp_path):
    path = tmp_path / "within.yaml"
    path.write_text(f"{BASE}matrix:\n  generator: {{mine: {{use: vocos}}}}\n  generator.dim: [32, 64]\n")
    assert [cell.document.value["generator"]["dim"] for cell in expand(path).cells] == [32, 64]
