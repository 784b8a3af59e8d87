"""torchaudio's Python part works beside any build of torch."""

import subprocess
import sys

import pytest

HOOK = """
import importlib.abc, importlib.machinery, sys

class Failing(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    tries = 0
    def find_spec(self, name, path=None, target=None):
        if name == "torchaudio._extension":
            return importlib.machinery.ModuleSpec(name, self)
    def create_module(self, spec):
        return None
    def exec_module(self, module):
        Failing.tries += 1
        raise {error}("{message}")

sys.meta_path.insert(0, Failing())
"""
USE = """
import gansemble.audio.torchaudio as ours
import numpy as np
from gansemble.audio import files
bank = ours.functional.melscale_fbanks(513, 0.0, 8000.0, 80, 22050, "slaney", "slaney")
assert bank.shape == (513, 80), bank.shape
assert hasattr(ours.transforms, "Resample")
assert files.resample(np.zeros((1, 441), np.float32), 44100, 22050).shape == (1, 221)
print(Failing.tries, ours.extension_problem)
"""


def test_functional_and_transforms_are_there():
    from gansemble.audio.torchaudio import functional, transforms

    assert functional.melscale_fbanks(33, 0.0, 4000.0, 8, 8000).shape == (33, 8)
    assert transforms.Resample(8000, 4000) is not None


@pytest.mark.slow
@pytest.mark.parametrize(
    "error, message",
    [
        ("OSError", "libc10_cuda.so: cannot open shared object file: No such file or directory"),
        ("RuntimeError", "Detected that PyTorch and TorchAudio were compiled with different CUDA versions"),
    ],
)
def test_an_extension_that_does_not_load_is_switched_off_and_told(error, message):
    script = HOOK.format(error=error, message=message) + USE
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == f"1 {error}: {message}"


def test_without_torchaudio_the_import_error_is_told():
    script = (
        "import sys\n"
        "class Absent:\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        "        if name.partition('.')[0] == 'torchaudio':\n"
        "            raise ModuleNotFoundError('No module named torchaudio')\n"
        "sys.meta_path.insert(0, Absent())\n"
        "try:\n    import gansemble.audio.torchaudio\nexcept ImportError as error:\n    print('told', error)\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=120, check=False)
    assert done.stdout.strip() == "told No module named torchaudio", done.stderr
