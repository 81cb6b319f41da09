"""Writes the pinned requirements that go into the Bento: what the service needs, version by version.

python -m serving.pins cpu > serving/container/requirements-cpu.txt
python -m serving.pins gpu > serving/container/requirements-gpu.txt
"""

import sys
from importlib import metadata

from packaging.markers import default_environment
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from classifier.errors import OptionError

DEVICES = ("cpu", "gpu")
_GPU_PACKAGES = {
    "onnxruntime-gpu": "1.31.1",
    "nvidia-cublas": "13.1.0.3",
    "nvidia-cuda-nvrtc": "13.0.88",
    "nvidia-cuda-runtime": "13.0.96",
    "nvidia-cudnn-cu13": "9.28.1.4",
    "nvidia-cufft": "12.0.0.61",
    "nvidia-curand": "10.4.0.35",
    "nvidia-nvjitlink": "13.0.88",
}
"""ONNX Runtime for GPUs is published later than the other kind; this one needs CUDA 13 and cuDNN 9."""


def pinned_requirements(device: str) -> list[str]:
    """Return every package that the service needs, with the version that is installed here.

    Parameters
    ----------
    device
        `cpu` or `gpu`: which kind of ONNX Runtime.

    Raises
    ------
    OptionError
        If there is no such device.
    """
    if device not in DEVICES:
        raise OptionError(f"the device is {device!r}; expected {' or '.join(DEVICES)}")
    versions: dict[str, str] = {}
    waiting = [Requirement("branching-classifier[cpu,serve]")]
    seen: set[tuple[str, frozenset[str]]] = set()
    while waiting:
        requirement = waiting.pop()
        name, extras = canonicalize_name(requirement.name), frozenset(requirement.extras)
        if (name, extras) in seen:
            continue
        seen.add((name, extras))
        distribution = metadata.distribution(name)
        versions[name] = distribution.version
        for text in distribution.requires or ():
            needed = Requirement(text)
            here = {key: str(value) for key, value in default_environment().items()}
            environments = [{**here, "extra": extra} for extra in ("", *extras)]
            if needed.marker is None or any(needed.marker.evaluate(one) for one in environments):
                waiting.append(needed)
    del versions["branching-classifier"]
    if device == "gpu":
        del versions["onnxruntime"]
        versions.update(_GPU_PACKAGES)
    return sorted(f"{name}=={version}" for name, version in versions.items())


if __name__ == "__main__":
    sys.stdout.write("\n".join(pinned_requirements(*sys.argv[1:])) + "\n")
