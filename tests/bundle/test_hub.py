"""Bundles pushed to and pulled from a hub, which is a server on this machine."""

from __future__ import annotations

import json
import shutil

import pytest
from hub_stand_in import READER, TOKEN, commit_of, serving

from gansemble.errors import GansembleError
from gansemble.files import sha256
from gansemble.publishing import hub as hubs

NAME = "alice/tiny"


@pytest.fixture
def hub(monkeypatch, tmp_path):
    """An empty hub, which this process has a token for."""
    from huggingface_hub import constants

    with serving() as found:
        monkeypatch.setenv("HF_ENDPOINT", found.address)
        monkeypatch.setenv("HF_TOKEN", TOKEN)
        monkeypatch.setenv("NO_PROXY", "127.0.0.1")
        monkeypatch.setattr(constants, "HF_HUB_DISABLE_XET", True)
        monkeypatch.setattr(constants, "HF_TOKEN_PATH", str(tmp_path / "no-token"))
        yield found


@pytest.fixture
def pushed(hub, made, command):
    result = command("push", str(made), NAME)
    assert result.exit_code == 0, result.output
    return hub


def files(folder):
    return {path.relative_to(folder).as_posix(): sha256(path) for path in folder.rglob("*") if path.is_file()}


def refused(result):
    """The one line that tells why a command was refused."""
    assert result.exit_code == 1, result.output
    lines = [line for line in result.output.splitlines() if line.startswith("error: ")]
    assert len(lines) == 1 and result.output.splitlines()[-1] == lines[0], result.output
    return lines[0]


def test_what_is_pushed_is_pulled_byte_by_byte(pushed, made, command, tmp_path):
    result = command("pull", NAME, "--output", str(tmp_path / "pulled"))
    assert result.exit_code == 0, result.output
    assert files(tmp_path / "pulled") == files(made)
    assert sorted(path.name for path in tmp_path.iterdir() if path.name != "no-token") == ["pulled"], (
        "nothing is left beside it"
    )
    assert "licence of the model: cc-by-4.0; of the training data (folder): CC0 1.0" in result.output
    assert "gansemble synthesise --exp" in result.output


@pytest.mark.slow
def test_fine_tuning_from_what_was_pulled_is_that_from_the_experiment_bitwise(pushed, place, command, tmp_path):
    """With its discriminators, averages and optimisers."""
    assert command("pull", NAME, "--output", str(tmp_path / "pulled")).exit_code == 0
    tuned = ("plan.steps=3", "plan.save_every=1", "init.optimisers=true", "optimisers.generator.lr=1e-4")
    ends = []
    for source in (place.exp, tmp_path / "pulled"):
        place.train(tmp_path / f"from-{source.name}", f"init.exp={source}", *tuned)
        last = sorted((tmp_path / f"from-{source.name}" / "checkpoints").iterdir())[-1]
        ends.append({p.name: p.read_bytes() for p in last.iterdir() if p.name not in ("recipe.yaml", "manifest.json")})
    assert ends[0] == ends[1]
    assert {"discriminators.safetensors", "optimiser-discriminators.pt", "ema.safetensors"} <= ends[0].keys()


def test_a_push_is_one_commit_that_takes_an_earlier_bundle_away(pushed, place, command):
    before = set(pushed.repositories[NAME]["main"])
    result = command("push", str(place.exp), NAME, "--checkpoint", "last", "--licence", "mit")
    assert result.exit_code == 0, result.output
    assert pushed.commits[NAME] == 2
    now = pushed.repositories[NAME]["main"]
    assert ".gitattributes" in now and json.loads(now["bundle.json"])["licence"] == "mit"
    assert set(now) - {".gitattributes"} == {*json.loads(now["bundle.json"])["files"], "bundle.json"} and before


def test_a_licence_can_be_stated_for_a_bundle_that_has_none(hub, place, command, tmp_path):
    plain = tmp_path / "plain"
    assert command("bundle", str(place.exp), "--output", str(plain)).exit_code == 0
    said = refused(command("push", str(plain), NAME))
    assert "bundle.json: states no licence" in said and "--licence cc-by-4.0" in said
    assert NAME not in hub.repositories, "nothing was made there"
    before = files(plain)
    assert command("push", str(plain), NAME, "--licence", "My own terms").exit_code == 0
    assert files(plain) == before, "the bundle here is as it was"
    card = hub.repositories[NAME]["main"]["README.md"].decode()
    assert "\nlicense: other\nlicense_name: My own terms\n" in card and "license: unknown" not in card
    assert command("pull", NAME, "--output", str(tmp_path / "pulled")).exit_code == 0


def test_a_branch_is_made_and_pulled_by_its_name(hub, made, command, tmp_path):
    assert command("push", str(made), NAME, "--revision", "trial").exit_code == 0
    assert "bundle.json" not in hub.repositories[NAME]["main"]
    assert command("pull", NAME, "--output", str(tmp_path / "a"), "--revision", "trial").exit_code == 0
    commit = commit_of(hub.repositories[NAME]["trial"])
    assert command("pull", NAME, "--output", str(tmp_path / "b"), "--revision", commit).exit_code == 0
    said = refused(command("pull", NAME, "--output", str(tmp_path / "c"), "--revision", "nosuch"))
    assert "has no revision 'nosuch'" in said


def test_a_private_repository_is_seen_by_its_owner_alone(hub, made, command, tmp_path, monkeypatch):
    assert command("push", str(made), NAME, "--private").exit_code == 0
    assert NAME in hub.private
    assert command("pull", NAME, "--output", str(tmp_path / "mine")).exit_code == 0
    monkeypatch.setenv("HF_TOKEN", READER)
    assert "ask its owner for access if it is private" in refused(
        command("pull", NAME, "--output", str(tmp_path / "b"))
    )
    monkeypatch.delenv("HF_TOKEN")
    said = refused(command("pull", NAME, "--output", str(tmp_path / "b")))
    assert "if it is private: make a token" in said and "hf auth login" in said and "HF_TOKEN" in said


def test_without_a_token_a_push_says_where_to_get_one(hub, made, command, monkeypatch):
    monkeypatch.delenv("HF_TOKEN")
    said = refused(command("push", str(made), NAME))
    assert "https://huggingface.co/settings/tokens" in said and "hf auth login" in said and "HF_TOKEN" in said
    assert not hub.asked


@pytest.mark.parametrize(
    ("token", "words"), [("hf_wrong", "does not accept the token"), (READER, "may not write there (403)")]
)
def test_a_token_that_may_not_write_is_told(hub, made, command, monkeypatch, token, words):
    monkeypatch.setenv("HF_TOKEN", token)
    assert words in refused(command("push", str(made), NAME))


def test_a_repository_of_something_else_is_neither_replaced_nor_pulled(hub, made, command, tmp_path):
    hub.repositories[NAME] = {"main": {"pytorch_model.bin": b"weights", "README.md": b"mine"}}
    assert f"{NAME}: holds README.md, pytorch_model.bin and no bundle.json" in refused(command("push", str(made), NAME))
    assert hub.repositories[NAME]["main"] == {"pytorch_model.bin": b"weights", "README.md": b"mine"}
    assert f"{NAME}: holds no bundle.json" in refused(command("pull", NAME, "--output", str(tmp_path / "a")))
    assert not (tmp_path / "a").exists()


def test_what_was_changed_on_the_hub_is_not_kept(pushed, command, tmp_path):
    there = pushed.repositories[NAME]["main"]
    name = next(name for name in there if name.endswith("generator.safetensors") and "optimiser" not in name)
    whole = there[name]
    there[name] = whole[:-1] + bytes([whole[-1] ^ 1])
    said = refused(command("pull", NAME, "--output", str(tmp_path / "a")))
    assert f"{NAME}: {name}: altered: expected the sha256" in said
    there[name] = whole
    there["model.pkl"] = b"cos\nsystem\n"
    said = refused(command("pull", NAME, "--output", str(tmp_path / "a")))
    assert "holds model.pkl, which its bundle.json does not list" in said
    assert ("GET", f"/{NAME}/resolve/{commit_of(there)}/model.pkl") not in pushed.asked
    del there["model.pkl"], there["README.md"]
    assert "README.md is missing" in refused(command("pull", NAME, "--output", str(tmp_path / "a")))
    assert not [path for path in tmp_path.iterdir() if path.name != "no-token"], "nothing is left"


def test_an_interrupted_pull_goes_on_and_nothing_bears_its_name_before(pushed, command, tmp_path, monkeypatch):
    import time

    monkeypatch.setattr(time, "sleep", lambda seconds: None)  # the library waits between its own attempts
    name = next(name for name in pushed.repositories[NAME]["main"] if name.endswith("/ema.safetensors"))
    pushed.broken[name] = 1000
    said = refused(command("pull", NAME, "--output", str(tmp_path / "a")))
    assert "the connection broke" in said or "cannot be reached" in said
    assert not (tmp_path / "a").exists()
    assert [path for path in tmp_path.iterdir() if path.name.endswith(".pulling")]
    pushed.broken.clear()
    pushed.asked.clear()
    assert command("pull", NAME, "--output", str(tmp_path / "a")).exit_code == 0
    fetched = [path for method, path in pushed.asked if method == "GET" and path.endswith("/bundle.json")]
    assert not fetched, "what was there already is not fetched again"
    assert not [path for path in tmp_path.iterdir() if path.name.endswith(".pulling")]


def test_a_hub_that_cannot_be_reached_is_told(hub, made, command, tmp_path, monkeypatch):
    import time

    monkeypatch.setattr(time, "sleep", lambda seconds: None)
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")  # the port of discard, which nothing listens at
    for words in (("push", str(made), NAME), ("pull", NAME, "--output", str(tmp_path / "a"))):
        said = refused(command(*words))
        assert "http://127.0.0.1:9 cannot be reached" in said and "check the network" in said
    assert not (tmp_path / "a").exists()


def test_an_agreement_and_the_offline_mode_are_told(pushed, command, tmp_path, monkeypatch):
    from huggingface_hub import constants

    pushed.gated.add(NAME)
    said = refused(command("pull", NAME, "--output", str(tmp_path / "a")))
    assert f"its owner asks for an agreement first; agree on the hub's page of {NAME}" in said
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    said = refused(command("pull", NAME, "--output", str(tmp_path / "a")))
    assert "HF_HUB_OFFLINE=1 keeps it from the network" in said


def test_a_hub_that_fails_is_told_with_its_answer(hub, made, command, tmp_path):
    hub.answers["/api/models/"] = 418
    assert "the hub answered 418" in refused(command("pull", NAME, "--output", str(tmp_path / "a")))
    assert "there is no such repository" in (
        hub.answers.clear() or refused(command("pull", NAME, "--output", str(tmp_path / "a")))
    )


def test_a_full_disk_is_told_before_anything_large_is_fetched(pushed, command, tmp_path, monkeypatch):
    usage = shutil.disk_usage(tmp_path)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage._replace(free=1_000_000))
    said = refused(command("pull", NAME, "--output", str(tmp_path / "a")))
    assert "1 MB are free; free space there" in said
    assert not [path for method, path in pushed.asked if method == "GET" and path.endswith(".safetensors")]


def test_a_disk_that_fills_up_is_told(pushed, command, tmp_path, monkeypatch):
    import errno

    from huggingface_hub import HfApi

    def full(*words, **options):
        raise RuntimeError("cannot write") from OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(HfApi, "hf_hub_download", full)
    assert "No space left on device: free space" in refused(command("pull", NAME, "--output", str(tmp_path / "a")))


@pytest.mark.parametrize(
    "name", ["tiny", "a/b/c", "../x/y", "alice/", "alice/a b", "https://huggingface.co/alice/tiny"]
)
def test_what_is_no_name_of_a_repository_is_refused(name, command, made, tmp_path):
    with pytest.raises(GansembleError, match="expected the name of a repository, USER/NAME"):
        hubs.demand_name(name)
    assert "USER/NAME" in refused(command("pull", name, "--output", str(tmp_path / "a")))


def test_a_transfer_that_fails_is_told_with_a_way_round(pushed, command, tmp_path, monkeypatch):
    from huggingface_hub import HfApi

    def fails(*words, **options):
        raise RuntimeError("CAS service error\nand more")

    monkeypatch.setattr(HfApi, "hf_hub_download", fails)
    said = refused(command("pull", NAME, "--output", str(tmp_path / "a")))
    assert "the transfer failed (CAS service error)" in said and "HF_HUB_DISABLE_XET=1" in said

    def refuses(*words, **options):
        raise ConnectionError("403 Forbidden: /xet-read-token/main")

    monkeypatch.setattr(HfApi, "hf_hub_download", refuses)
    said = refused(command("pull", NAME, "--output", str(tmp_path / "a")))
    assert "the connection broke (403 Forbidden" in said and said.endswith(
        "HF_HUB_DISABLE_XET=1 if that hub does not store by Xet"
    )


def test_a_folder_that_is_taken_is_left_alone(pushed, command, tmp_path):
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "mine.txt").write_text("mine")
    assert "holds mine.txt; give a folder that is new or empty" in refused(
        command("pull", NAME, "--output", str(tmp_path / "a"))
    )


def test_an_altered_bundle_is_not_pushed(hub, copied, command):
    card = copied / "README.md"
    card.write_text(card.read_text().replace("tiny", "Tiny", 1))
    assert "README.md: altered" in refused(command("push", str(copied), NAME))
    assert not hub.asked
