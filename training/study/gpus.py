"""A GPU for each worker process.

No torch here: a worker must choose its GPU before torch first looks for one.
"""

import multiprocessing
import os


def take_gpu(free: "multiprocessing.Queue[str]") -> None:
    """Keep this process to the next of the GPUs that are free; an empty name stands for none.

    Parameters
    ----------
    free
        GPUs as `CUDA_VISIBLE_DEVICES` names them.
    """
    gpu = free.get()
    if gpu:
        os.environ["CUDA_VISIBLE_DEVICES"] = gpu
