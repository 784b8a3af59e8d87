"""Whatever is mistyped on the command line, the name that was probably meant is told."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from gansemble.files import near_path


@pytest.mark.parametrize(
    ("words", "meant"),
    [
        (("trian",), "no command 'trian'; did you mean 'train'?"),
        (("--plugn", "x.py", "doctor"), "No such option --plugn; did you mean '--plugin'?"),
        (("train", "--exq"), "No such option --exq; did you mean '--exp'?"),
        (("plugins", "lst"), "No such command 'lst'; did you mean 'list'?"),
        (("plugins", "list", "--kind", "metrc"), "; did you mean 'metric'?"),
        (("synthesise", "x.yaml", "--checkpoint", "lst"), "; did you mean 'last'?"),
        (("listening", "make", "--mode", "mushr", "a", "b", "--output", "c"), "; did you mean 'mushra'?"),
        (("describe", "generatr"), "did you mean 'generator'?"),
        (("describe", "metrc", "snr"), "did you mean 'metric'?"),
        (("describe", "metric", "sn"), "did you mean 'snr'?"),
        (("describe", "multi_perod"), "did you mean 'multi_period'?"),
        (("metric-card", "pesk"), "did you mean 'pesq'?"),
        (("import", "hifgan"), "did you mean 'hifigan'?"),
        (("check", "tyny.yaml"), "tyny.yaml: no such recipe file; did you mean 'tiny.yaml'?"),
        (("check", "tiny.yaml", "--set", "corpus.use=foldr"), "did you mean 'folder'?"),
        (("run", "tyny.yaml"), "no such recipe; did you mean 'tiny.yaml'?"),
        (("run", "tiny.yaml", "--stge", "3"), "unknown option --stge; did you mean '--stage'?"),
        (("run", "tiny.yaml", "--stage", "trian"), "no such stage; did you mean 'train'?"),
        (("run", "tiny.yaml", "--launcher", "acelerate"), "did you mean 'accelerate'?"),
        (("run", "mine", "--config", "smal"), "; did you mean 'small'?"),
        (("status", "exp/on"), "exp/one'?; run a recipe's run.sh"),
        (("diff", "exp/on", "exp/one"), "; did you mean 'exp/one'?"),
    ],
)
def test_the_nearest_name_is_told(gansemble, tiny, tmp_path, words, meant):
    (tmp_path / "exp" / "one").mkdir(parents=True)
    (tmp_path / "mine" / "conf").mkdir(parents=True)
    for name in ("small", "v1"):
        (tmp_path / "mine" / "conf" / f"{name}.yaml").touch()
    status, _, err = gansemble(*words)
    assert status in (1, 2) and meant in err and "Did you mean" not in err, err


def test_where_nothing_resembles_it_what_there_is_is_told(gansemble, tiny):
    assert "No such command 'zzzz'; there are: " in gansemble("plugins", "zzzz")[2]
    assert "did you mean" not in gansemble("plugins", "list", "--kind", "zzzz")[2]


def test_a_path_is_compared_where_it_leaves_what_is_there(tmp_path, monkeypatch):
    (tmp_path / "data" / "LJSpeech-1.1" / "wavs").mkdir(parents=True)
    monkeypatch.chdir(tmp_path)
    assert near_path(Path("data/LJSpech-1.1/wavs")) == "; did you mean 'data/LJSpeech-1.1/wavs'?"
    assert near_path(Path("dta")) == "; did you mean 'data'?"
    assert near_path(tmp_path / "dta" / "other") == f"; {str(tmp_path / 'data')!r} is there"
    assert near_path(tmp_path / "data") == near_path(Path("zzzzzz")) == ""
    assert near_path(Path(os.sep)) == ""


def test_a_mistyped_corpus_folder_starts_no_download(gansemble, tmp_path, monkeypatch):
    monkeypatch.setattr("gansemble.data.download.download", lambda *_, **__: pytest.fail("a download"))
    (tmp_path / "LJSpeech-1.1").mkdir()
    recipe = Path(__file__).parents[2] / "egs" / "ljspeech" / "hifigan" / "conf" / "v1.yaml"
    places = ("--exp", tmp_path / "exp", "--dump", tmp_path / "dump")
    status, _, err = gansemble("fetch", recipe, "--data", tmp_path / "LJSpech-1.1", *places)
    assert status == 1 and f"--data {tmp_path}/LJSpech-1.1: no such folder; did you mean" in err
    assert f"{str(tmp_path / 'LJSpeech-1.1')!r}?; nothing was downloaded" in err and "mkdir -p" in err
