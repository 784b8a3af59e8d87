"""The recipes of ``egs/``, by method and corpus: ``specdiff:ljspeech/v1`` is ``egs/ljspeech/specdiff/conf/v1.yaml``.

A wheel holds them beside this file; in a checkout they lie in ``egs/`` at its top.
"""

from __future__ import annotations

from pathlib import Path

HERE = Path(__file__).resolve()
#: The folder of all recipes, ``<corpus>/<method>``.
EGS = HERE.parent / "egs" if (HERE.parent / "egs").is_dir() else HERE.parents[3] / "egs"


def of_method(method: str) -> dict[str, Path]:
    """The folders of a method's recipes, by the name of the corpus."""
    return {folder.parent.name: folder for folder in sorted(EGS.glob(f"*/{method}")) if (folder / "conf").is_dir()}


biggan = of_method("biggan")
bigvgan = of_method("bigvgan")
ddfn = of_method("ddfn")
gansynth = of_method("gansynth")
hifigan = of_method("hifigan")
istftnet = of_method("istftnet")
sagan = of_method("sagan")
specdiff = of_method("specdiff")
specgan = of_method("specgan")
standarddiff = of_method("standarddiff")
superres = of_method("superres")
vocos = of_method("vocos")
wavegan = of_method("wavegan")
