"""Worker processes of a pool that end by themselves when the process that started them is gone."""

import os
import signal
import threading
import time


def end_with_parent(parent: int) -> None:
    """Makes this process end when its parent has ended; for the ``initializer`` of a process pool.

    A parent that is killed with SIGKILL cannot stop its workers, which would then wait for work for ever. A thread
    checks once a second whether the parent is still there. SIGINT is ignored, as the parent ends its workers on Ctrl-C.

    Args:
        parent: process number of the parent.
    """

    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole group; the parent ends its workers

    def watch() -> None:
        # An orphan gets another parent, so the number changes.
        while os.getppid() == parent:
            time.sleep(1)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()
