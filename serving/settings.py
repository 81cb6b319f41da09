"""How the service runs: read from environment variables, which `branching serve` sets from its flags."""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, Final, get_type_hints

from classifier.errors import OptionError
from serving.limits import Limits

PREFIX: Final = "BRANCHING_"
DEVICES: Final = ("auto", "cpu", "cuda", "tensorrt")
ENCODERS: Final = ("onnx", "debug")
_CPU_QUOTA: Final = Path("/sys/fs/cgroup/cpu.max")


@dataclass(frozen=True, slots=True)
class Settings:
    """The settings of the service; each is read from `BRANCHING_` and its name in capitals.

    Parameters
    ----------
    model, precision
        The model folder or embedded model, `default` by default, and which of its files.
    device
        Where the encoder runs: `auto` takes an NVIDIA GPU if ONNX Runtime can use one. A device that is asked
        for by name and is not there is an error.
    gpus
        How many GPUs to use, each with an encoder process of its own.
    threads, batch_size
        CPU threads of the encoder, and windows in one forward pass; chosen by the device by default.
    api_workers
        Processes that answer requests; the limit of requests in flight is divided among them.
    host, port
        Where to listen.
    api_keys, api_keys_file
        Keys, one of which a request must carry, separated by commas or white space; or a file of them, one a
        line. Without any, requests need none.
    cors_origins
        Web origins whose pages may call the service, separated by commas; none by default.
    encoder, debug_delay
        `debug` computes scores that encode the input and waits so many seconds on every batch: for tests.
    limits
        What the service accepts.

    Raises
    ------
    OptionError
        If a setting has a value that cannot be used.
    """

    model: str | None = None
    precision: str = "fp32"
    device: str = "auto"
    gpus: int = 1
    threads: int | None = None
    batch_size: int | None = None
    api_workers: int = 1
    host: str = "127.0.0.1"
    port: int = 3000
    api_keys: str = field(default="", repr=False)
    api_keys_file: str | None = None
    cors_origins: str = ""
    encoder: str = "onnx"
    debug_delay: float = 0.0
    limits: Limits = field(default_factory=Limits)

    def __post_init__(self) -> None:
        for name, known in (("device", DEVICES), ("encoder", ENCODERS)):
            if getattr(self, name) not in known:
                raise OptionError(f"{name} is {getattr(self, name)!r}; expected one of {', '.join(known)}")
        for name in ("gpus", "api_workers", "threads", "batch_size"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise OptionError(f"{name} is {value}; it must be at least 1")
        if not 0 <= self.port <= 65535:
            raise OptionError(f"port is {self.port}; expected a number up to 65535")

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] | None = None) -> "Settings":
        """Read the settings.

        Parameters
        ----------
        environment
            Environment variables; those of the process by default. An empty one counts as not set.

        Raises
        ------
        OptionError
            If a variable has a value that cannot be used.
        """
        environment = os.environ if environment is None else environment
        return cls(
            **_read(cls, environment, leave_out=("limits",)), limits=Limits(**_read(Limits, environment))
        )

    @property
    def resolved_device(self) -> str:
        """Return where the encoder will run: the device, with `auto` replaced by what is there."""
        if self.device != "auto" or self.encoder == "debug":
            return "cpu" if self.device == "auto" else self.device
        import onnxruntime

        return "cuda" if "CUDAExecutionProvider" in onnxruntime.get_available_providers() else "cpu"

    @property
    def encoder_workers(self) -> int:
        """Return how many encoder processes run: one a GPU, and one on a CPU."""
        return 1 if self.resolved_device == "cpu" else self.gpus

    @property
    def windows_a_call(self) -> int:
        """Return how many windows make a full call of an encoder process: a full batch for each thread."""
        if self.resolved_device != "cpu":
            return max(2, self.batch_size or 64)
        return max(2, (self.threads or available_cores()) * (self.batch_size or 4))

    @property
    def calls_ahead(self) -> int:
        """Return how many calls of the encoder are under way at a time."""
        return self.encoder_workers * (1 if self.resolved_device == "cpu" else 3)

    @property
    def longest_request(self) -> float:
        """Return a time that no request takes, for BentoML's own time-out, which must never come first."""
        return 2 * self.limits.request_timeout + self.limits.drain_timeout + 60

    @property
    def keys(self) -> tuple[str, ...]:
        """Return the API keys.

        Raises
        ------
        OptionError
            If the file of keys cannot be read or holds none.
        """
        keys = self.api_keys.replace(",", " ").split()
        if self.api_keys_file is not None:
            path = Path(self.api_keys_file)
            try:
                lines = path.read_text(encoding="utf-8").splitlines()
            except (OSError, UnicodeDecodeError) as error:
                raise OptionError(f"the file of API keys {path} cannot be read: {error}") from error
            found = [line.strip() for line in lines if line.strip() and not line.startswith("#")]
            if not found:
                raise OptionError(f"the file of API keys {path} holds none; put one on each line")
            keys += found
        return tuple(keys)

    @property
    def origins(self) -> list[str]:
        """Return the web origins whose pages may call the service."""
        return [one.strip() for one in self.cors_origins.split(",") if one.strip()]


def available_cores(quota_file: Path = _CPU_QUOTA) -> int:
    """Return how many cores this process may use: in a container, no more than its limit of CPU time.

    Parameters
    ----------
    quota_file
        Where Linux states the limit.
    """
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    try:
        quota, period = quota_file.read_text().split()
        return max(1, min(cores, round(int(quota) / int(period))))
    except (OSError, ValueError):  # no limit, or no Linux
        return cores


def variable(name: str) -> str:
    """Return the environment variable of a setting or limit."""
    return PREFIX + name.upper()


def _read(kind: type[Any], environment: Mapping[str, str], leave_out: tuple[str, ...] = ()) -> dict[str, Any]:
    hints = get_type_hints(kind)
    values: dict[str, Any] = {}
    for one in fields(kind):
        text = environment.get(variable(one.name), "")
        if one.name in leave_out or not text.strip():
            continue
        values[one.name] = _parsed(one.name, text.strip(), hints[one.name])
    return values


def _parsed(name: str, text: str, hint: Any) -> str | int | float:
    wanted = "a whole number" if hint in (int, int | None) else "a number"
    try:
        if hint in (int, int | None):
            return int(text)
        return float(text) if hint is float else text
    except ValueError as error:
        raise OptionError(f"{variable(name)} is {text!r}; expected {wanted}") from error
