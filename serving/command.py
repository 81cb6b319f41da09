"""`branching serve`: checks what it is asked, then hands over to `bentoml serve`."""

import os
import socket
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import Annotated, Any, Final

import typer

from classifier.errors import OptionError
from serving.limits import Limits
from serving.settings import Settings, variable

SERVICE: Final = "serving.service:BranchScoring"
_KEEP_ALIVE_SECONDS: Final = 75
"""Longer than clients keep idle connections, so that none sends a request into one that is closing."""
_LIMITS: Final = {one.name: one for one in fields(Limits)}


def _option(name: str, text: str, **options: Any) -> Any:
    return typer.Option(help=text, envvar=variable(name), show_default=False, **options)


def _limit(name: str) -> Any:
    limit = _LIMITS[name]
    return _option(
        name, f"{limit.metadata['meaning']} By default {limit.default:,}.", rich_help_panel="Limits"
    )


def serve(
    model: Annotated[str | None, _option("model", "A model folder, or fast.")] = None,
    precision: Annotated[
        str | None,
        _option("precision", "Which of the model's files to use: fp32 (the default), fp16 or int8."),
    ] = None,
    device: Annotated[
        str | None,
        _option("device", "auto (the default: a GPU if ONNX Runtime can use one), cpu, cuda or tensorrt."),
    ] = None,
    gpus: Annotated[
        int | None, _option("gpus", "GPUs to use, each with an encoder process of its own; 1 by default.")
    ] = None,
    threads: Annotated[
        int | None, _option("threads", "CPU threads of the encoder; all cores by default.")
    ] = None,
    batch_size: Annotated[
        int | None, _option("batch_size", "Windows in one forward pass; scores do not depend on it.")
    ] = None,
    api_workers: Annotated[
        int | None, _option("api_workers", "Processes that answer requests; 1 by default.")
    ] = None,
    host: Annotated[
        str | None,
        _option("host", "Address to listen on; 127.0.0.1 by default, 0.0.0.0 for all interfaces."),
    ] = None,
    port: Annotated[int | None, _option("port", "Port to listen on; 3000 by default.")] = None,
    api_keys_file: Annotated[
        str | None,
        _option(
            "api_keys_file",
            "A file with one API key a line, of which requests must carry one. The variable "
            f"{variable('api_keys')} takes keys themselves, separated by commas. Without either, requests "
            "need none.",
        ),
    ] = None,
    cors_origins: Annotated[
        str | None,
        _option("cors_origins", "Web origins whose pages may call the service, separated by commas."),
    ] = None,
    max_body_bytes: Annotated[int | None, _limit("max_body_bytes")] = None,
    max_items: Annotated[int | None, _limit("max_items")] = None,
    max_trace_characters: Annotated[int | None, _limit("max_trace_characters")] = None,
    max_stream_bytes: Annotated[int | None, _limit("max_stream_bytes")] = None,
    max_in_flight: Annotated[int | None, _limit("max_in_flight")] = None,
    queue_timeout: Annotated[float | None, _limit("queue_timeout")] = None,
    request_timeout: Annotated[float | None, _limit("request_timeout")] = None,
    drain_timeout: Annotated[float | None, _limit("drain_timeout")] = None,
) -> None:
    """Serve scores over HTTP: POST /v1/score and /v1/filter, GET /v1/info, /livez, /readyz and /metrics.

    It listens on this machine only, unless --host says otherwise. SIGTERM and Ctrl+C let requests in flight
    finish.

    \b
    Example:
      branching serve --port 8080
      curl localhost:8080/v1/score -H 'Content-Type: application/json' -d '{"traces": ["Add. Or not?"]}'
    """  # noqa: D301 - \b is for Click
    flags = dict(locals())
    command, environment = plan(flags, os.environ)
    os.execve(command[0], command, environment)  # noqa: S606 - no shell: the arguments are fixed


def plan(flags: Mapping[str, Any], environment: Mapping[str, str]) -> tuple[list[str], dict[str, str]]:
    """Check the flags, and return the command that serves and its environment.

    Parameters
    ----------
    flags
        Settings and limits by name; None where the environment or the default decides.
    environment
        The environment variables.

    Returns
    -------
    tuple
        The command's arguments, and the environment with every flag as a variable.

    Raises
    ------
    OptionError
        If a flag has a value that cannot be used, or the address cannot be listened on.
    ModelError
        If the model cannot be used, or the device is not there.
    """
    from importlib.util import find_spec

    given = {variable(name): str(value) for name, value in flags.items() if value is not None}
    variables = {**environment, **given}
    settings = Settings.from_environment(variables)
    for name in ("bentoml", "fastapi"):
        if find_spec(name) is None:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
    from serving.keys import ApiKeys
    from serving.window_encoder import check_encoder

    ApiKeys(settings.keys)
    check_encoder(settings)
    _check_address(settings.host, settings.port)
    variables.setdefault("BENTOML_DO_NOT_TRACK", "True")
    if "BENTOML_HOME" not in variables:
        # BentoML empties the folder of metrics in its home at every start: two services need two.
        variables["BENTOML_HOME"] = str(_home(settings.port, environment))
    keep_alive = ["--timeout-keep-alive", str(_KEEP_ALIVE_SECONDS)]
    return [sys.executable, "-m", "bentoml", "serve", SERVICE, *keep_alive], variables


def _check_address(host: str, port: int) -> None:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as one:
        one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            one.bind((host, port))
        except (OSError, OverflowError) as error:
            raise OptionError(
                f"cannot listen on {host} port {port}: {error}. Give a numeric --host of this machine and a "
                "free --port"
            ) from error


def _home(port: int, environment: Mapping[str, str]) -> Path:
    cache = Path(environment.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    home = cache / "branching-classifier" / f"serve-{port}"
    try:
        home.mkdir(parents=True, exist_ok=True)
    except OSError:
        return Path(tempfile.mkdtemp(prefix="branching-serve-"))
    return home
