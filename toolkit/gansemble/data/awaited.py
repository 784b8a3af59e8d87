"""Waits for files of a network folder that is away for a moment, so that a long run need not end for it."""

from __future__ import annotations

import errno
import logging
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

T = TypeVar("T")
log = logging.getLogger(__name__)
#: A folder that is away is waited for so long [s]; well below the ten minutes after which processes that train together give up.
PATIENCE = 300.0
#: It is looked at again after so long [s], and spoken of again after so long [s].
LOOK_SECONDS, TELL_SECONDS = 1.0, 60.0
#: What the system says of a file on a folder that is away; of a file that is not there, the folder is asked, too.
AWAY = frozenset(
    {
        errno.ENOENT,
        errno.ENOTDIR,
        errno.ESTALE,
        errno.EIO,
        errno.ETIMEDOUT,
        errno.ENOTCONN,
        errno.EHOSTDOWN,
        errno.EHOSTUNREACH,
        errno.ENETDOWN,
        errno.ENETUNREACH,
        errno.ECONNREFUSED,
        errno.ECONNRESET,
        errno.ECONNABORTED,
        errno.ENODEV,
        errno.ENXIO,
    }
)


def awaited(act: Callable[[], T], sign: Path) -> T:
    """What an action returns, which reads files of a folder; it is repeated while the folder is away, for five minutes at most.

    Args:
        act: the action; it opens anew what it reads.
        sign: a file that the folder holds whenever it is there. If it is there, a file that is not has been deleted.

    Raises:
        OSError: of the action, if the folder is there, or stays away for too long.
    """
    begun: float | None = None
    told = 0.0
    while True:
        try:
            found = act()
        except OSError as error:
            now = time.monotonic()
            if not away(error, sign) or (begun is not None and now - begun > PATIENCE):
                raise
            begun = now if begun is None else begun
            if not told or now - told > TELL_SECONDS:
                told = now
                log.warning(
                    "%s is away (%s): it is waited for up to %.0f s, as a network folder may come back; %.0f s so far",
                    sign.parent,
                    error.strerror,
                    PATIENCE,
                    now - begun,
                )
            time.sleep(LOOK_SECONDS)
            continue
        if begun is not None:
            log.warning("%s is back after %.0f s", sign.parent, time.monotonic() - begun)
        return found


def away(error: OSError, sign: Path) -> bool:
    """Whether an error is that of a folder which is away; see :func:`awaited`."""
    if error.errno not in AWAY:
        return False
    return error.errno not in (errno.ENOENT, errno.ENOTDIR) or not there(sign)


def there(sign: Path) -> bool:
    """Whether a folder is there, by a file that it holds."""
    try:
        sign.stat()
    except OSError:
        return False
    return True
