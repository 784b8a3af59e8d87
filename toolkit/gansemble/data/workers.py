"""What processes that read a corpus do besides: end when the process that started them is gone."""

import os
import threading
import time


def end_with_parent(parent: int) -> None:
    """For a pool's ``initializer``: a parent that is killed by -9 cannot tell its workers, which would wait for ever.

    Args:
        parent: the process' number.
    """

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(1)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()
