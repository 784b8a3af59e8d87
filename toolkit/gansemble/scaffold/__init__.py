"""Writes the files of a new plugin: a distribution of its own, with one working part of each kind that is asked for.

The parts in ``parts/`` are working modules. ``Acme`` and ``acme`` in them stand for the plugin's name.
"""

from __future__ import annotations

import importlib.util
import keyword
import os
import re
import sys
from collections.abc import Sequence
from pathlib import Path

from gansemble import __version__
from gansemble.errors import PluginError
from gansemble.files import write_atomically
from gansemble.plugins.registry import KINDS
from gansemble.recipe.packages import MINI, Found

HERE = Path(__file__).parent
#: What each kind's line in a recipe looks like, and its one-line summary.
KIND_LINES = {
    "generator": ("generator: {use: acme}", "convolutions over mel frames, a hop of samples from each"),
    "discriminator": ("discriminators: {acme: {use: acme}}", "strided convolutions over the waveform"),
    "noise_injector": ("noise_injector: {use: acme}", "Gaussian noise at a fixed signal-to-noise ratio"),
    "regulariser": ("regularisers: {acme: {use: acme, weight: 0.001}}", "keeps scores of real clips near zero"),
    "metric": ("metrics: {acme: {use: acme}}", "difference of level [dB]"),
    "objective": ("objective: {use: acme}", "least squares with one-sided label smoothing"),
    "loss": ("losses: {acme: {use: acme, weight: 10}}", "L1 of log-magnitude spectra"),
    "representation": ("representation: {use: acme}", "mu-law companded samples"),
    "corpus": ("corpus: {use: acme}", "a folder wavs/ and a list of validation clips"),
    "degradation": ("degradation: {use: acme}", "a zero-phase low-pass with a drawn cut-off"),
    "augmentation": ("augmentations: {acme: {use: acme}}", "an echo at each of several delays"),
    "perturbation": ("perturbations: {acme: {use: acme}}", "an echo behind each crop, its delay drawn"),
    "optimiser": ("optimisers: {generator: {use: acme}}", "Adam with Nesterov momentum"),
    "observer": ("observers: {acme: {use: acme}}", "a line in a text file for each validation"),
    "schedule": ("schedules: {generator: {use: acme}}", "a triangle that comes back every few steps"),
    "feature": ("features: {acme: {use: acme}}", "level of each frame [dB]"),
    "monitor": ("monitors: {acme: {use: acme}}", "fakes whose levels no longer differ"),
    # A comment, as it stands within a metric that takes embedders, of which the toolkit's core knows none by name.
    "embedder": ("# metrics: {NAME: {use: METRIC, embedder: {use: acme}}}", "levels of octave bands"),
}


def create(name: str, kinds: Sequence[str], folder: Path, base: Found | None = None) -> Path:
    """Writes a new plugin to ``folder/gansemble-<name>`` and returns that path.

    Args:
        name: of the plugin, its package and its parts, such as ``my_plugin``.
        kinds: which parts it gets, of :data:`gansemble.plugins.registry.KINDS`.
        folder: where its folder is made.
        base: a recipe; the plugin then has one of its own that builds on it and uses the plugin's parts.

    Raises:
        PluginError: if the name is no lower_snake identifier or is taken, or the plugin's folder is not empty.
    """
    _check_name(name)
    _check_taken(name, kinds)
    root = folder / f"gansemble-{name.replace('_', '-')}"
    if os.path.lexists(root) and (not root.is_dir() or any(root.iterdir())):
        raise PluginError(f"{root}: expected no such folder, or an empty one; choose another name or another --out")
    chosen = [kind for kind in KINDS if kind in kinds]
    for source, target in (("pyproject.toml.in", "pyproject.toml"), ("README.md.in", "README.md")):
        write_atomically(root / target, _named(_filled((HERE / source).read_text(), chosen, base), name))
    write_atomically(root / name / "__init__.py", _named(_filled((HERE / "init.py.in").read_text(), chosen), name))
    if base is not None:
        _write_recipe(root / name / "recipes", name, chosen, base)
    for kind in chosen:
        write_atomically(root / name / f"{kind}.py", _named((HERE / "parts" / f"{kind}.py").read_text(), name))
    write_atomically(
        root / "tests" / "test_conformance.py", _named((HERE / "test_conformance.py.in").read_text(), name)
    )
    write_atomically(root / ".gitignore", "__pycache__/\n*.egg-info/\ndist/\n")
    return root


def _write_recipe(folder: Path, name: str, kinds: Sequence[str], base: Found) -> None:
    """Writes a package of recipes with one that includes ``base`` and uses the plugin's parts, and its small version."""
    write_atomically(
        folder / "__init__.py", f'"""Recipes of {name}: gansemble run {name}:{base.recipe.name} --mini."""\n'
    )
    conf = folder / base.recipe.name / "conf"
    lines = "".join(f"{KIND_LINES[kind][0]}\n" for kind in kinds)
    addresses = {Path(base.address).name: base.address}
    if base.recipe.file(MINI).is_file():
        addresses[MINI] = f"{base.recipe.address}/{MINI}"
    for configuration, address in addresses.items():
        text = f"# {base.recipe.name} with the parts of acme.\ninclude: [{address}]\n{lines}"
        write_atomically(conf / f"{configuration}.yaml", _named(text, name))


def _check_name(name: str) -> None:
    if not re.fullmatch(r"[a-z][a-z0-9]*(_[a-z0-9]+)*", name) or keyword.iskeyword(name):
        raise PluginError(f"a plugin's name must be lower_snake, such as my_plugin, got {name!r}")
    if name in sys.stdlib_module_names or name.startswith("gansemble"):
        raise PluginError(f"{name!r} would take the place of another module; choose another name")
    if importlib.util.find_spec(name) is not None:
        raise PluginError(f"a module called {name!r} is installed already; choose another name")


def _check_taken(name: str, kinds: Sequence[str]) -> None:
    """Refuses a name that is taken.

    A second plugin of the same name would not be loaded, and a second part of the same kind and name makes recipes
    ambiguous.
    """
    from gansemble.plugins import loading

    registry = loading.registry()
    if name in {entry.plugin for entry in registry.entries()} | set(registry.broken) | set(registry.disabled):
        raise PluginError(f"a plugin called {name!r} is installed already; choose another name")
    for entry in registry.entries():
        if entry.name == name and entry.kind in kinds:
            raise PluginError(f"plugin {entry.plugin!r} gives the {entry.kind} {name!r} already; choose another name")


def _filled(text: str, kinds: Sequence[str], base: Found | None = None) -> str:
    """Replaces the placeholders in a template that depend on the kinds, and the toolkit's version."""
    registrations = "\n".join(_registration(kind) for kind in kinds)
    recipe = "\n".join(KIND_LINES[kind][0] for kind in kinds)
    parts = "\n".join(f"| `{kind}` | `acme/{kind}.py` | {KIND_LINES[kind][1]} |" for kind in kinds)
    for key, value in (
        ("@REGISTRATIONS@", registrations),
        ("@RECIPE@", recipe),
        ("@PARTS@", parts),
        ("@VERSION@", __version__),
        ("@FIRST@", kinds[0]),
        ("@RECIPES@", "" if base is None else '\n[project.entry-points."gansemble.recipes"]\nacme = "acme.recipes"\n'),
    ):
        text = text.replace(key, value)
    return text


def _class(kind: str) -> str:
    camel = "".join(word.title() for word in kind.split("_"))
    return "acme" if kind == "optimiser" else f"Acme{camel}"


def _registration(kind: str) -> str:
    """The call that registers a part; networks get small examples, so that tests are quick."""
    small = {"generator": '{"channels": 16, "dilations": [1, 3]}', "discriminator": '{"channels": [4, 8]}'}
    arguments = [f'"{kind}"', '"acme"', f'f"{{__name__}}.{kind}:{_class(kind)}"', f'"{KIND_LINES[kind][1]}"']
    arguments += [f"example={small[kind]}"] if kind in small else []
    return "\n".join(["    register(", *(f"        {argument}," for argument in arguments), "    )"])


def _named(text: str, name: str) -> str:
    camel = "".join(word.title() for word in name.split("_"))
    return text.replace("Acme", camel).replace("acme", name).replace("@DASHED@", name.replace("_", "-"))
