"""What processes that read a corpus do besides: end when the process that started them is gone."""

import os
import signal
import threading
import time


def end_with_parent(parent: int) -> None:
    """For a pool's ``initializer``: a parent that is killed by -9 cannot tell its workers, which would wait for ever.

    Args:
        parent: the process' number.
    """

    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole group; the parent ends its workers

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(1)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()
