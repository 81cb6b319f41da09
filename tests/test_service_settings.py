"""Settings, limits and `branching serve`: every one a flag and a variable, checked before anything starts."""

import inspect
import os
import socket
from dataclasses import fields
from pathlib import Path

import pytest

from classifier.errors import ModelError, OptionError, ProviderError
from serving.command import plan, serve
from serving.limits import Limits
from serving.settings import Settings, available_cores, variable
from tests.service_process import free_port

ONLY_VARIABLES = {"api_keys", "encoder", "debug_delay"}
"""Settings without a flag: keys on a command line can be seen by others, and the others are for tests."""


def names() -> set[str]:
    return {one.name for one in (*fields(Settings), *fields(Limits))} - {"limits"}


def test_defaults() -> None:
    settings = Settings.from_environment({})
    assert settings == Settings()
    assert (settings.host, settings.keys, settings.origins) == ("127.0.0.1", (), [])


def test_every_setting_is_read_from_its_variable() -> None:
    given = {
        "model": "folder",
        "precision": "fp16",
        "device": "cuda",
        "gpus": "2",
        "threads": "3",
        "batch_size": "5",
        "api_workers": "4",
        "host": "0.0.0.0",  # noqa: S104
        "port": "8080",
        "api_keys": "one,two three",
        "api_keys_file": "keys",
        "cors_origins": "https://a.example",
        "encoder": "debug",
        "debug_delay": "0.5",
        **{one.name: str(getattr(Limits(), one.name) + 7) for one in fields(Limits)},
    }
    assert given.keys() == names()
    settings = Settings.from_environment({variable(name): value for name, value in given.items()})
    for name, value in given.items():
        held = getattr(settings.limits if name in settings.limits.to_dict() else settings, name)
        assert str(held) == value or float(value) == held
    assert "one" not in repr(settings)


def test_every_setting_has_a_flag() -> None:
    flags = inspect.signature(serve, eval_str=True).parameters
    assert flags.keys() == names() - ONLY_VARIABLES
    for name, parameter in flags.items():
        (option,) = parameter.annotation.__metadata__
        assert option.envvar == variable(name)
        assert option.help


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("port", "x", "expected a whole number"),
        ("queue_timeout", "soon", "expected a number"),
        ("port", "70000", "up to 65535"),
        ("device", "tpu", "expected one of auto, cpu"),
        ("threads", "0", "at least 1"),
        ("max_items", "0", "at least 1"),
        ("max_body_bytes", "1", "at least 1000"),
        ("request_timeout", "inf", "request_timeout is inf; it must be at least 0.01, and finite"),
        ("queue_timeout", "nan", "queue_timeout is nan; it must be at least 0.01, and finite"),
    ],
)
def test_wrong_values_are_refused(name: str, value: str, message: str) -> None:
    with pytest.raises(OptionError, match=message):
        Settings.from_environment({variable(name): value})


def test_keys_file_that_cannot_be_used(tmp_path: Path) -> None:
    with pytest.raises(OptionError, match="cannot be read"):
        _ = Settings(api_keys_file=str(tmp_path / "none")).keys
    empty = tmp_path / "empty"
    empty.write_text("# nothing\n\n")
    with pytest.raises(OptionError, match="holds none"):
        _ = Settings(api_keys_file=str(empty)).keys


def test_batches_by_device() -> None:
    assert Settings(device="cpu", threads=3, batch_size=5).windows_a_call == 15
    assert Settings(device="cpu", threads=1, batch_size=1).windows_a_call == 2
    assert Settings(device="cuda").windows_a_call == 64
    assert Settings(device="cuda", gpus=2).encoder_workers == 2
    assert Settings(device="cpu", gpus=2).encoder_workers == 1


def test_cores_by_the_limit_of_a_container(tmp_path: Path) -> None:
    quota = tmp_path / "cpu.max"
    cores = available_cores(quota)
    assert cores >= 1
    for text, expected in (
        ("max 100000\n", cores),
        ("100000 100000\n", 1),
        ("50000 100000\n", 1),
        ("99900000 100000\n", cores),
        ("nonsense", cores),
    ):
        quota.write_text(text)
        assert available_cores(quota) == expected


def test_plan_hands_over_to_bentoml(tmp_path: Path) -> None:
    port = free_port()
    environment = {"PATH": os.environ["PATH"], "XDG_CACHE_HOME": str(tmp_path), variable("max_items"): "5"}
    command, variables = plan({"port": port, "model": None, "threads": 1}, environment)
    assert command[1:5] == ["-m", "bentoml", "serve", "serving.service:BranchScoring"]
    assert command[5:] == ["--timeout-keep-alive", "75"]
    assert variables[variable("port")] == str(port)
    assert variables[variable("threads")] == "1"
    assert variables[variable("max_items")] == "5"
    assert variable("model") not in variables
    assert variables["BENTOML_DO_NOT_TRACK"] == "True"
    assert variables["BENTOML_HOME"] == str(tmp_path / "branching-classifier" / f"serve-{port}")
    assert Path(variables["BENTOML_HOME"]).is_dir()


def test_plan_without_a_writable_cache(tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    cache.write_text("a file where a folder should be")
    _, variables = plan({"port": free_port()}, {"XDG_CACHE_HOME": str(cache)})
    assert Path(variables["BENTOML_HOME"]).is_dir()
    Path(variables["BENTOML_HOME"]).rmdir()


def test_plan_checks_the_call(tmp_path: Path) -> None:
    home = {"BENTOML_HOME": str(tmp_path)}
    with pytest.raises(ModelError, match="not a model folder"):
        plan({"port": free_port(), "model": str(tmp_path)}, home)
    with pytest.raises(ProviderError, match="cuda was asked for"):
        plan({"port": free_port(), "device": "cuda"}, home)
    with pytest.raises(OptionError, match="cannot listen on no-such-host"):
        plan({"port": free_port(), "host": "no-such-host"}, home)
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        with pytest.raises(OptionError, match="cannot listen on 127"):
            plan({"port": other.getsockname()[1]}, home)


def test_plan_says_what_is_missing(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(ModuleNotFoundError, match="bentoml"):
        plan({"port": free_port()}, {"BENTOML_HOME": str(tmp_path)})
