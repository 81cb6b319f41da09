"""How a worker process of a study begins.

No torch here: a worker must choose its GPU before torch first looks for one.
"""

import multiprocessing
import os
import threading


def begin_worker(free: "multiprocessing.Queue[str]") -> None:
    """Keep this process to the next of the GPUs that are free, and end it when the study's process ends.

    Without that, workers of a study that was killed would go on writing into its folder.

    Parameters
    ----------
    free
        GPUs as `CUDA_VISIBLE_DEVICES` names them; an empty name stands for none.
    """
    gpu = free.get()
    if gpu:
        os.environ["CUDA_VISIBLE_DEVICES"] = gpu
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)
