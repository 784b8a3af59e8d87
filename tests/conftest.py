"""Settings of the whole suite."""

import os

# Tensors here are tiny: threads cost more than they give, and spinning ones slow everything beside them.
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
# Broken plugins are what some tests are about; one test demands that none of ours is.
os.environ.pop("GANSEMBLE_STRICT", None)
