"""The ``gansemble`` command: outputs for people and for programs, and messages with an exit status."""

import contextlib
import json
import os
import pty
import subprocess
import sys
from pathlib import Path

import pytest

from gansemble import __version__
from gansemble.cli import COMMANDS, main
from gansemble.plugins import loading
from gansemble.plugins.registry import KINDS
from gansemble.recipe.document import parse
from gansemble.stages import STAGES, Project

CONF = Path(__file__).parents[2] / "egs" / "ljspeech" / "hifigan" / "conf"
V1 = str(CONF / "v1.yaml")
FILE = """\
from gansemble import hookimpl

class Zero:
    '''Nothing (Nobody 2020).'''
    def __init__(self, *, size: int) -> None:
        self.size = size
    def __call__(self, step, turn):
        return self.size

@hookimpl
def gansemble_register(register):
    register("loss", "zero", __name__ + ":Zero", "nothing")
"""


def test_help_lists_every_command(gansemble):
    status, out, _ = gansemble("--help")
    listed = [
        line.split()[0]
        for line in out.partition("Commands:\n")[2].partition("examples:")[0].splitlines()
        if line[2:3].strip()
    ]
    assert status == 0 and listed == list(COMMANDS)


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_help(gansemble, name):
    status, out, _ = gansemble(name, "--help")
    assert status == 0 and out.startswith(f"Usage: gansemble {name} ")


def test_version(gansemble):
    assert gansemble("--version") == (0, f"gansemble, version {__version__}\n", "")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["trian"], "no command 'trian'; did you mean 'train'?"),
        (["zzz"], "no command 'zzz'; see gansemble --help"),
        (["--nope"], "No such option"),
        (["check"], "Missing argument"),
        (["check", V1, "--nope"], "No such option"),
        (["import", "hifigna"], "no import format 'hifigna'; did you mean 'hifigan'?"),
        (["plugins", "lst"], "'lst'"),
        (["plugins", "list", "--kind", "los"], "'los'"),
    ],
)
def test_a_wrong_word_is_a_usage_error(gansemble, words, message):
    status, out, err = gansemble(*words)
    assert (status, out) == (2, "") and message in err


def test_check_says_ok_for_each_sound_recipe(gansemble):
    status, out, err = gansemble("check", V1, CONF / "v2.yaml")
    assert (status, err) == (0, "")
    lines = out.splitlines()
    assert [line.rpartition(": ")[2].split()[0] for line in lines if not line.startswith("  note")] == ["ok", "ok"]


def test_check_reports_every_recipe_and_exits_1_when_one_fails(gansemble, tmp_path):
    (tmp_path / "bad.yaml").write_text(f"include: [{V1}]\nplan: {{segment: 8000, setps: 3}}\n")
    status, out, err = gansemble("check", "bad.yaml", "absent.yaml", V1)
    assert status == 1 and out.startswith(f"{V1}: ok (19 parts)\n  note: ") and out.count("\n") == 2
    assert "bad.yaml:2:23: plan.setps: plan takes no such parameter; did you mean 'steps'?" in err
    assert "absent.yaml: no such recipe file" in err
    assert err.endswith("error: 2 of 3 recipes failed: bad.yaml, absent.yaml\n")


def test_check_takes_overrides(gansemble):
    status, _, err = gansemble("check", V1, "--set", "losses.mel.weight=heavy")
    assert status == 1 and "--set:1:19: losses.mel.weight: expected a number or a schedule" in err


def test_fill_prints_a_recipe_that_checks_and_fills_to_itself(gansemble, tmp_path):
    status, out, _ = gansemble("fill", V1, "--set", "plan.ema=0.5")
    filled = parse(out, "filled").value
    assert status == 0 and filled["plan"]["ema"] == 0.5 and filled["plan"]["accumulate"] == 1
    (tmp_path / "filled.yaml").write_text(out)
    assert gansemble("fill", "filled.yaml") == (0, out, "")


def test_fill_of_a_wrong_recipe_prints_no_recipe(gansemble):
    status, out, err = gansemble("fill", V1, "--set", "plan.segment=1")
    assert (status, out) == (1, "") and err.startswith("error: --set:1:14: plan.segment: ")


def test_describe_shows_parameters_types_defaults_and_place(gansemble):
    status, out, _ = gansemble("describe", "loss", "mel_l1")
    lines = out.splitlines()
    assert status == 0 and lines[0].startswith("loss mel_l1 (basics): ")
    assert "losses.py:" in lines[1] and lines[1].endswith("gansemble_plugins.basics.losses:MelL1")
    assert "  audio: AudioSpec (supplied by the toolkit)" in lines and "  full_band: bool = True" in lines


def test_the_kind_may_be_left_out_where_one_kind_has_the_name(gansemble, tmp_path, monkeypatch):
    assert gansemble("describe", "mel_l1") == gansemble("describe", "loss", "mel_l1")
    status, _, err = gansemble("describe", "gansynth")
    assert status == 1 and "gansemble describe generator gansynth, gansemble describe discriminator gansynth" in err
    (tmp_path / "mel_l1").write_text("nonsense: 1\n")
    monkeypatch.chdir(tmp_path)
    status, _, err = gansemble("describe", "mel_l1")
    assert status == 1 and "nonsense" in err, "a recipe file of that name goes first"


def test_describe_for_programs_is_json_of_the_same(gansemble):
    status, out, _ = gansemble("describe", "optimiser", "adamw", "--json")
    facts = json.loads(out)
    assert status == 0 and (facts["kind"], facts["name"], facts["plugin"]) == ("optimiser", "adamw", "basics")
    defaults = {row["name"]: row.get("default") for row in facts["parameters"]}
    assert defaults["lr"] == 2e-4 and defaults["betas"] == [0.9, 0.999]
    assert "inspect" not in out


ALL = [(entry.kind, f"{entry.plugin}/{entry.name}") for entry in loading.Plugins().registry.entries()]
#: The published discriminators have tens of millions of parameters: too slow to build here.
SLOW = {"hifigan/multi_period", "hifigan/multi_scale", "hifigan/hifigan"}


@pytest.mark.parametrize(("kind", "name"), [part for part in ALL if part[1] not in SLOW])
def test_every_part_can_be_described(gansemble, kind, name):
    status, out, err = gansemble("describe", kind, name)
    assert (status, err) == (0, "") and out.startswith(f"{kind} {name.partition('/')[2]} ")


def test_a_part_whose_file_only_a_recipe_names_can_be_described(gansemble):
    """It cannot be built for its size, nor its contract computed, but both are no reason to tell nothing."""
    snippet = Path(__file__).parents[2] / "docs" / "snippets" / "perceptual.py"
    status, out, err = gansemble("--plugin", snippet, "describe", "loss", "perceptual")
    assert (status, err) == (0, "") and "weights: File\n      state dict of the network" in out and "sizes" not in out


def test_describe_counts_a_networks_parameters(gansemble):
    facts = json.loads(gansemble("describe", "generator", "vocos", "--json")[1])
    assert 13e6 < facts["sizes"]["parameters"] < 14e6


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["los", "mel_l1"], "error: no kind 'los'; did you mean 'loss'?"),
        (["loss", "mel_l2"], "error: no loss named 'mel_l2'; did you mean 'mel_l1'?"),
        (["loss", "nope/mel_l1"], "error: loss nope/mel_l1: plugin 'nope' is not installed; install the"),
        (["loss", "basic/mel_l1"], "error: loss basic/mel_l1: plugin 'basic' is not installed; did you mean 'basics'?"),
    ],
)
def test_describe_names_a_near_part(gansemble, words, message):
    status, out, err = gansemble("describe", *words)
    assert (status, out) == (1, "") and err.startswith(message)


def test_plugins_list_shows_every_part_under_its_kind(gansemble):
    status, out, _ = gansemble("plugins", "list")
    assert status == 0
    assert [line for line in out.splitlines() if line in KINDS] == [
        k for k in KINDS if any(k == kind for kind, _ in ALL)
    ]
    assert [len(line.split()) > 2 for line in out.splitlines() if line.startswith("  ")] == [True] * len(ALL)


def test_plugins_list_for_programs_and_by_kind(gansemble):
    rows = json.loads(gansemble("plugins", "list", "--json", "--kind", "corpus")[1])
    assert {row["name"] for row in rows["parts"]} >= {"folder", "ljspeech"} and rows["broken"] == []
    assert {row["kind"] for row in rows["parts"]} == {"corpus"}


def test_plugins_doctor_finds_nothing_wrong_here(gansemble):
    status, out, _ = gansemble("plugins", "doctor")
    assert status == 0 and out.splitlines()[-1].endswith("0 broken plugins, 0 missing targets")


def test_a_single_file_plugin_is_there_for_one_run(gansemble, tmp_path):
    (tmp_path / "cli_zero.py").write_text(FILE)
    status, out, _ = gansemble("--plugin", "cli_zero.py", "describe", "loss", "zero")
    assert status == 0 and "  size: int\n" in out and "paper: Nobody 2020" in out


def test_a_single_file_plugin_that_is_absent_is_an_error(gansemble):
    status, _, err = gansemble("--plugin", "absent.py", "check", V1)
    assert status != 0 and "absent.py: no such file" in err


def test_plugins_doctor_shows_a_broken_plugins_traceback_and_exits_1(gansemble, tmp_path):
    (tmp_path / "cli_broken.py").write_text("import a_module_that_is_absent\n")
    status, out, _ = gansemble("--plugin", "cli_broken.py", "plugins", "doctor")
    assert status == 1 and "broken: file:cli_broken.py\nTraceback" in out
    assert "No module named 'a_module_that_is_absent'" in out and "1 broken plugins" in out


def test_a_broken_plugin_that_was_asked_for_stops_whatever_is_not_about_it(gansemble, tmp_path):
    (tmp_path / "cli_broken.py").write_text("import a_module_that_is_absent\n")
    status, _, err = gansemble("--plugin", "cli_broken.py", "check", V1)
    assert status == 1 and "cli_broken.py:1: could not be loaded (ModuleNotFoundError: " in err


def test_doctor_names_versions_and_disk(gansemble):
    status, out, _ = gansemble("doctor")
    assert status == 0 and out.startswith(f"gansemble {__version__} at ")
    assert "  torch " in out and "missing" not in out and "disk: " in out


@pytest.fixture
def experiment(tmp_path, mark_done) -> Project:
    """A project whose first three stages are done, on nothing."""
    data = tmp_path / "data"
    data.mkdir()
    project = Project.of(CONF / "v1.yaml", (), tmp_path / "exp", data, tmp_path / "dump")
    project.remember()
    mark_done(project, [stage.name for stage in STAGES[:3]])
    return project


def test_status_shows_each_stage(gansemble, experiment):
    status, out, _ = gansemble("status", experiment.exp)
    words = [line.split()[:3] for line in out.splitlines() if line[:1].isdigit()]
    assert status == 0
    assert words == [[str(s.number), s.name, "done" if s.number < 3 else "missing"] for s in STAGES]


def test_status_says_why_a_stage_is_stale(gansemble, experiment):
    (experiment.data / "new.wav").touch()
    rows = json.loads(gansemble("status", experiment.exp, "--json")[1])
    assert [row["state"] for row in rows[:3]] == ["done", "stale", "stale"]
    assert rows[1]["reasons"] == [f"corpus files: 1 file added (new.wav) in {experiment.data}"]
    assert rows[2]["reasons"] == ["stage 1 prepare is stale"]
    assert "corpus files: 1 file added" in gansemble("status", experiment.exp)[1]


def test_status_shows_where_a_training_was_interrupted(gansemble, experiment):
    (experiment.exp / "checkpoints" / "step-00001200").mkdir(parents=True)
    rows = json.loads(gansemble("status", experiment.exp, "--json")[1])
    steps = experiment.values["plan"]["steps"]
    assert rows[3]["state"] == "interrupted" and rows[3]["reasons"] == [f"at step 1,200 of {steps:,}"]
    assert f"3 train       interrupted at step 1,200 of {steps:,}\n" in gansemble("status", experiment.exp)[1]
    assert rows[4]["state"] == "missing"


def test_status_of_no_experiment_says_how_to_make_one(gansemble, tmp_path):
    status, _, err = gansemble("status", "nowhere")
    assert status == 1
    assert err == (
        f"error: {tmp_path}/nowhere: expected an experiment folder, but it has no project.json; "
        f"run a recipe's run.sh with --exp {tmp_path}/nowhere\n"
    )


def test_status_when_the_recipe_is_gone_names_it(gansemble, experiment, tmp_path):
    facts = json.loads((experiment.exp / "project.json").read_text())
    gone = {"path": "../gone.yaml", "absolute": str(tmp_path / "gone.yaml")}
    (experiment.exp / "project.json").write_text(json.dumps(facts | {"recipe": gone}))
    status, _, err = gansemble("status", experiment.exp)
    assert status == 1 and "gone.yaml: no such recipe file" in err


def test_a_stage_that_lacks_the_one_before_says_which_to_run(gansemble, tmp_path):
    places = ["--exp", tmp_path / "exp", "--data", tmp_path / "data", "--dump", tmp_path / "dump"]
    for command in ("train", "synthesise", "evaluate"):
        status, _, err = gansemble(command, V1, *places)
        assert status == 1 and "stage 1 prepare has not been done; run it first, with --stage 1" in err


@pytest.mark.parametrize(("command", "before"), [("synthesise", "3 train"), ("evaluate", "4 synthesise")])
def test_a_stage_names_the_first_before_it_that_was_not_done(gansemble, experiment, command, before):
    places = ["--exp", experiment.exp, "--data", experiment.data, "--dump", experiment.dump]
    status, _, err = gansemble(command, V1, *places)
    assert status == 1 and f"stage {before} has not been done; run it first, with --stage {before[0]}" in err


@pytest.mark.parametrize("command", ["status EXP", "statistics RECIPE PLACES", "statistics RECIPE PLACES --dry-run"])
def test_what_has_nothing_to_do_imports_no_torch(experiment, command, tmp_path):
    places = f"--exp {experiment.exp} --data {experiment.data} --dump {experiment.dump}"
    words = command.replace("EXP", str(experiment.exp)).replace("RECIPE", V1).replace("PLACES", places).split()
    code = (
        "import sys\nfrom gansemble.cli import group\n"
        "try:\n    group.main(sys.argv[1:])\nfinally:\n    print('torch' in sys.modules, file=sys.stderr)"
    )
    environment = {name: value for name, value in os.environ.items() if name != "GANSEMBLE_PLUGIN_FILES"}
    done = subprocess.run(
        [sys.executable, "-c", code, *words], cwd=tmp_path, env=environment, capture_output=True, text=True
    )
    assert (done.returncode, done.stderr.split()[-1]) == (0, "False"), done.stderr
    assert "statistics" not in command or "up to date" in done.stdout


def test_a_traceback_is_shown_only_when_asked_for(gansemble, monkeypatch):
    assert "Traceback" not in gansemble("fill", "absent.yaml")[2]
    monkeypatch.setenv("GANSEMBLE_TRACEBACK", "1")
    from gansemble.recipe.document import RecipeError

    with pytest.raises(RecipeError):
        main(["fill", "absent.yaml"])


@pytest.mark.parametrize(
    "words",
    [
        ("train", V1, "--exp", ""),
        ("prepare", V1, "--data", ""),
        ("prepare", V1, "--dump", " "),
        ("synthesise", "--exp", ""),
        ("sample", "--exp", "", "--output", "x"),
        ("sample", "--exp", "x", "--output", ""),
        ("enhance", "--exp", "x", "--output", "", "a.wav"),
        ("enhance", "--exp", "x", "--output", "y", ""),
        ("mels", V1, "--input", "", "--output", "x"),
        ("mini", V1, "--output", ""),
        ("report", V1, "--compare", ""),
        ("status", ""),
        ("diff", "x", ""),
        ("check", ""),
        ("fill", ""),
        ("matrix", ""),
        ("run", V1, "--exp", ""),
        ("run", V1, "--data", " "),
        ("run", V1, "--compare="),
        ("run", ""),
        ("describe", ""),
        ("--plugin", "", "check", V1),
    ],
    ids=" ".join,
)
def test_an_empty_word_is_no_folder(gansemble, tmp_path, words):
    before = sorted(tmp_path.rglob("*"))
    status, _, err = gansemble(*words)
    assert status in (1, 2) and "Traceback" not in err and sorted(tmp_path.rglob("*")) == before
    if words[0] not in ("run", "describe", "--plugin"):
        assert "got an empty word; is a variable of the shell unset?" in err


@pytest.mark.parametrize(
    ("environment", "colour"), [({"TERM": "xterm"}, True), ({"TERM": "xterm", "NO_COLOR": "1"}, False), ({"TERM": "dumb"}, False)]
)  # fmt: skip
def test_colours_are_for_terminals_that_want_them(experiment, environment, colour):
    """Shown on a pseudo-terminal, as in a pipe there are none anyway."""
    main, side = pty.openpty()
    base = {key: value for key, value in os.environ.items() if key not in ("NO_COLOR", "TERM")}
    command = [sys.executable, "-m", "gansemble", "status", str(experiment.exp)]
    with subprocess.Popen(command, stdout=side, stderr=side, stdin=side, env=base | environment) as child:
        os.close(side)
        text = b""
        with contextlib.suppress(OSError):  # its end
            while piece := os.read(main, 4096):
                text += piece
        assert child.wait(timeout=60) == 0
    os.close(main)
    assert (b"\x1b[" in text) == colour and b"0 fetch" in text
