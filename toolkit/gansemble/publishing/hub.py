"""Puts bundles on a hub and fetches them, through ``huggingface_hub``. The hub is that of ``HF_ENDPOINT``, or huggingface.co.

What is pushed was verified before, and goes up in one commit; what is pulled gets its name only when it is verified.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from gansemble.bundle import layout, sealed
from gansemble.bundle.layout import FACTS, FOREIGN
from gansemble.bundle.sealed import Bundle
from gansemble.errors import NO_ROOM, BundleError, GansembleError, HubError, first_few
from gansemble.publishing import licences
from gansemble.publishing.making import demand_free

if TYPE_CHECKING:
    from huggingface_hub import HfApi

#: ``user/name`` as hubs have it.
NAME = re.compile(r"[A-Za-z0-9][\w.-]{0,95}/[\w][\w.-]{0,95}", re.ASCII)
LOG_IN = "make a token that may write on https://huggingface.co/settings/tokens, then log in with hf auth login, or set HF_TOKEN"
#: End of the name of the folder in which an unfinished pull is kept, and goes on.
UNFINISHED = ".pulling"
#: Bytes that a disk must have beyond a bundle's size before it is pulled.
SPARE = 1 << 24


def demand_name(repository: str) -> None:
    """Refuses what is no name of a repository.

    Raises:
        HubError: unless it is ``user/name``.
    """
    if NAME.fullmatch(repository) is None or ".." in repository or "--" in repository:
        raise HubError(f"{repository!r}: expected the name of a repository, USER/NAME, such as alice/my-vocoder")


def demand_token() -> None:
    """Refuses to go on without a token for the hub.

    Raises:
        HubError: saying where to get one.
    """
    from huggingface_hub import get_token

    if not get_token():
        raise HubError(f"no token for the hub, and nothing can be pushed without: {LOG_IN}")


def push(bundle: Bundle, repository: str, private: bool = False, revision: str | None = None) -> str:
    """Puts a bundle into a repository, which is made if there is none, in one commit that replaces an earlier bundle there.

    Args:
        bundle: one that was found sound; its weights are looked at once more.
        repository: ``user/name``.
        private: of a repository that is made now.
        revision: the branch, which is made if there is none; None is the main one.

    Returns:
        The address of the repository.

    Raises:
        BundleError: if the bundle states no licence, or is not sound.
        HubError: if the hub cannot be reached or refuses, or the repository holds anything but a bundle.
    """
    demand_name(repository)
    licences.demand(bundle)
    sealed.demand_weights(sealed.verify(bundle.folder))
    demand_token()
    facts, api = bundle.facts, _api()
    with _told(repository, f"push to {repository}", writing=True):
        address = api.create_repo(repository, private=private or None, exist_ok=True)
        if revision is not None:
            api.create_branch(repository, branch=revision, exist_ok=True)
        there = [name for name in api.list_repo_files(repository, revision=revision) if not FOREIGN.fullmatch(name)]
        if FACTS not in there and set(there) - {"README.md"}:
            raise HubError(
                f"{repository}: holds {first_few(sorted(there), 3)} and no {FACTS}, so it is no bundle's, and a push would delete "
                "that; give another name"
            )
        api.upload_folder(
            repo_id=repository,
            folder_path=bundle.folder,
            revision=revision,
            allow_patterns=[*facts["files"], FACTS],
            delete_patterns="*",  # files of an earlier bundle, in the same commit; .gitattributes is kept
            commit_message=f"{facts['name']} at step {facts['step']}, bundled by gansemble {facts['gansemble']}",
        )
    return str(address)


def pull(
    repository: str, output: Path, revision: str | None = None, say: Callable[[str], object] = lambda text: None
) -> Bundle:
    """Fetches a bundle, which gets its name only when every file is there and has the hash stated.

    What an interrupted call has fetched lies beside it in a hidden folder, from where the next call goes on.

    Args:
        repository: ``user/name``.
        output: folder of the bundle, which must be new or empty.
        revision: a branch, tag or commit; None is the main branch.
        say: called with a line about what is fetched.

    Raises:
        HubError: if the hub cannot be reached or refuses, there is no such repository, or it holds no bundle.
        BundleError: if the bundle is not sound; nothing of it is kept.
        GansembleError: if the disk has not the room.
        OSError: if a file cannot be written.
    """
    demand_name(repository)
    demand_free(output)
    api = _api()
    with _told(repository, f"pull {repository}", revision):
        info = api.model_info(repository, revision=revision)
    names = [each.rfilename for each in info.siblings or [] if not FOREIGN.fullmatch(each.rfilename)]
    if FACTS not in names:
        raise HubError(
            f"{repository}: holds no {FACTS}, so it is no bundle of gansemble's; see what it says of itself on the hub"
        )
    output = Path(os.path.realpath(output))
    commit = str(info.sha)
    place = output.with_name(f".{output.name}.{commit[:12]}{UNFINISHED}")
    place.mkdir(parents=True, exist_ok=True)
    try:
        with _told(repository, f"pull {repository}", revision):
            _fetch(api, repository, [FACTS], commit, place)
            facts = layout.read(place)
            _demand_listed(repository, names, list(facts["files"]))
            _demand_room(place, facts)
            say(f"{repository} at {commit[:12]}: {len(facts['files'])} files")
            _fetch(api, repository, list(facts["files"]), commit, place)
        shutil.rmtree(place / ".cache", ignore_errors=True)
        sealed.demand_weights(sealed.verify(place))
        place.replace(output)
    except BundleError as error:
        shutil.rmtree(place, ignore_errors=True)  # what is not sound would not become so
        raise BundleError(f"{repository}: {str(error).replace(f'{place}/', '')}") from error
    for left in output.parent.glob(f".{output.name}.*{UNFINISHED}"):
        shutil.rmtree(left, ignore_errors=True)
    return Bundle(output, layout.read(output))


def _api() -> HfApi:
    from huggingface_hub import HfApi
    from huggingface_hub.utils import disable_progress_bars

    if not sys.stderr.isatty():
        disable_progress_bars()
    return HfApi(endpoint=os.environ.get("HF_ENDPOINT") or None, library_name="gansemble")


def _fetch(api: HfApi, repository: str, names: Sequence[str], commit: str, place: Path) -> None:
    for name in names:
        api.hf_hub_download(repository, name, revision=commit, local_dir=place)


def _demand_listed(repository: str, names: Sequence[str], listed: Sequence[str]) -> None:
    """Refuses a repository whose files are not the bundle's, before they are fetched."""
    extra, missing = sorted(set(names) - set(listed) - {FACTS}), sorted(set(listed) - set(names))
    if extra:
        raise BundleError(
            f"holds {extra[0]}, which its {FACTS} does not list ({len(extra)} such); nothing was fetched; ask its owner"
        )
    if missing:
        raise BundleError(f"{missing[0]} is missing, though its {FACTS} lists it ({len(missing)} such); ask its owner")


def _demand_room(place: Path, facts: layout.Facts) -> None:
    there = sum(path.stat().st_size for path in place.rglob("*") if path.is_file())
    needed = sum(each["bytes"] for each in facts["files"].values()) - there
    free = shutil.disk_usage(place).free
    if needed + SPARE > free:
        raise GansembleError(
            f"{place.parent}: {needed / 1e6:,.0f} MB are still to be fetched, and {free / 1e6:,.0f} MB are free; free space there, or "
            "give another --output"
        )


@contextlib.contextmanager
def _told(repository: str, what: str, revision: str | None = None, writing: bool = False) -> Iterator[None]:
    """A context manager that turns the hub's errors into one line each, which says what to do."""
    from huggingface_hub import errors, get_token

    try:
        yield
    except GansembleError:
        raise
    except errors.GatedRepoError as error:
        raise HubError(
            f"{what}: its owner asks for an agreement first; agree on the hub's page of {repository}, and log in"
        ) from error
    except errors.RevisionNotFoundError as error:
        raise HubError(
            f"{what}: has no revision {revision!r}; give a branch, tag or commit that it has, or leave it out"
        ) from error
    except errors.RepositoryNotFoundError as error:
        hint = "ask its owner for access if it is private" if get_token() else f"if it is private: {LOG_IN}"
        raise HubError(
            f"{what}: there is no such repository, or this account may not see it; check the name; {hint}"
        ) from error
    except errors.OfflineModeIsEnabled as error:
        raise HubError(f"{what}: HF_HUB_OFFLINE=1 keeps it from the network; unset it") from error
    except errors.HfHubHTTPError as error:
        raise HubError(f"{what}: {_refusal(error.response.status_code, str(error), writing)}") from error
    except Exception as error:  # the library behind the hub's, and its errors, are others from version to version
        full = _full(error)
        if full is not None:
            raise GansembleError(f"{what}: {full.strerror}: free space, and give the same command again") from error
        of_network = type(error).__module__.startswith(("httpx", "requests", "urllib3", "huggingface_hub"))
        if not of_network and not isinstance(error, ConnectionError | TimeoutError):
            if not isinstance(error, RuntimeError | ValueError):  # what the transfers in compiled code raise
                raise
            raise HubError(
                f"{what}: the transfer failed ({_first_line(error)}); give the same command again, with HF_HUB_DISABLE_XET=1 where the "
                "hub does not store by Xet"
            ) from error
        where, said = os.environ.get("HF_ENDPOINT") or "https://huggingface.co", _first_line(error)
        xet = ", with HF_HUB_DISABLE_XET=1 if that hub does not store by Xet" if "xet" in said.lower() else ""
        raise HubError(
            f"{what}: {where} cannot be reached, or the connection broke ({said}); check the network (HF_ENDPOINT names another "
            f"hub), and give the same command again{xet}"
        ) from error


def _refusal(status: int, said: str, writing: bool) -> str:
    """An answer of the hub that is an error, in words."""
    if status == 401:
        return f"the hub does not accept the token; {LOG_IN}"
    if status == 403:
        what = "write there" if writing else "read it"
        return f"this account may not {what} (403); use a token with that right, or a name of your own"
    again = "; try again later" if status >= 500 or status == 429 else ""
    return f"the hub answered {status} ({said.strip().splitlines()[0][:200] if said.strip() else 'no reason'}){again}"


def _full(error: BaseException | None) -> OSError | None:
    """The error of a full disk that an error came of; None if it came of none."""
    while error is not None:
        if isinstance(error, OSError) and error.errno in NO_ROOM:
            return error
        error = error.__cause__ or error.__context__
    return None


def _first_line(error: BaseException) -> str:
    """The first line of the error at the root."""
    while error.__cause__ is not None:
        error = error.__cause__
    return (str(error).strip() or type(error).__name__).splitlines()[0][:200]
