"""What becomes of the memory that each training step frees on a CPU."""

import ctypes
import sys
from typing import Final

_TRIM_THRESHOLD: Final = -1
_MOST_MAPPINGS: Final = -4
_LARGEST: Final = 2**31 - 1


def keep_freed_memory() -> bool:
    """Let the C library keep freed memory, so that the next training step takes it up again.

    glibc gives large blocks back to the system when they are freed. A training step frees hundreds of them,
    and the next step then waits for all their pages to be mapped and cleared. This is a setting of the whole
    process: for commands, not for libraries.

    Returns
    -------
    bool
        Whether the C library has such a setting; others than glibc are left as they are.
    """
    if sys.platform != "linux":
        return False
    settings = getattr(ctypes.CDLL(None), "mallopt", None)
    if settings is None:
        return False
    return bool(settings(_MOST_MAPPINGS, 0) and settings(_TRIM_THRESHOLD, _LARGEST))
