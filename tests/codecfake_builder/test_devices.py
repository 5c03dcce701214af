"""Which device a user's words mean, on machines with and without CUDA."""

from __future__ import annotations

import subprocess
import sys

import pytest
import torch

from codecfake_builder.devices import local_devices, resolve_device, resolve_devices
from codecfake_builder.errors import BuilderError


@pytest.fixture
def two_gpus(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)


@pytest.mark.usefixtures("two_gpus")
@pytest.mark.parametrize(
    ("text", "devices"),
    [
        ("auto", ("cuda:0", "cuda:1")),
        ("cuda", ("cuda:0", "cuda:1")),
        ("cuda:1", ("cuda:1",)),
        ("cuda:1, cpu", ("cuda:1", "cpu")),
        ("cuda:0,cuda:0", ("cuda:0", "cuda:0")),
        ("cpu", ("cpu",)),
    ],
)
def test_devices_of_a_machine_with_two_gpus(text: str, devices: tuple[str, ...]) -> None:
    assert resolve_devices(text) == devices
    if "," not in text:
        assert resolve_device(text) == devices[0]


@pytest.mark.parametrize(("count", "found"), [(0, ("cpu",)), (1, ("cuda:0",))])
def test_auto_is_the_cpu_only_where_there_is_no_gpu(
    count: int, found: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "device_count", lambda: count)
    assert local_devices() == resolve_devices("auto") == found
    assert resolve_device("auto") == found[0]


@pytest.mark.usefixtures("two_gpus")
@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("cuda:2", "--device: cuda:2 is not there; found: cuda:0, cuda:1"),
        ("cuda:", "--device: cuda: is not there; found: cuda:0, cuda:1"),
        ("cpu,cuda:2,cuda:3", "--device: cuda:2, cuda:3 is not there; found: cuda:0, cuda:1"),
        ("nonsense", "--device: device 'nonsense' cannot be used: "),
        ("", "--device: device '' cannot be used: "),
    ],
)
def test_what_is_no_device_is_refused_in_one_line(text: str, message: str) -> None:
    with pytest.raises(BuilderError) as refusal:
        resolve_devices(text)
    assert str(refusal.value).startswith(message)
    assert "\n" not in str(refusal.value)


def test_one_device_is_not_several() -> None:
    with pytest.raises(BuilderError, match="--device: cpu,cpu names several devices; give one"):
        resolve_device("cpu,cpu")


def test_cuda_without_a_gpu_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 0)
    with pytest.raises(BuilderError, match=r"execution\.device: cuda is not there; found: cpu"):
        resolve_devices("cuda", "execution.device")


def test_importing_devices_does_not_import_torch() -> None:
    script = "import sys, codecfake_builder.devices; sys.exit('torch' in sys.modules)"
    subprocess.run([sys.executable, "-c", script], check=True)
