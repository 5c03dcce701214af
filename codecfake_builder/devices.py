"""Which device work runs on, and the arithmetic that makes it repeatable there.

``torch`` is imported only when a function is called: the command line starts without it.
"""

from __future__ import annotations

from codecfake_builder.errors import BuilderError


def local_devices() -> tuple[str, ...]:
    """Return every CUDA device of this machine (``cuda:0``, ``cuda:1``, ...), or ``cpu`` where there is none."""
    import torch

    return tuple(f"cuda:{number}" for number in range(torch.cuda.device_count())) or ("cpu",)


def resolve_devices(text: str, option: str = "--device") -> tuple[str, ...]:
    """Return the devices of this machine that a user names.

    Args:
        text: ``auto`` (every CUDA device, else the CPU), ``cuda`` (every CUDA device), another torch device
            (``cpu``, ``cuda:1``), or several separated by commas. A device that is named twice is returned twice.
        option: where the user wrote it, for the message.

    Raises:
        BuilderError: a device is not on this machine, or torch knows none of that name.

    >>> resolve_devices("cpu")
    ('cpu',)
    >>> resolve_devices("cuda:99,cpu", "execution.device")  # doctest: +IGNORE_EXCEPTION_DETAIL
    Traceback (most recent call last):
        ...
    codecfake_builder.errors.BuilderError: execution.device: cuda:99 is not there; found: cpu
    """
    found = local_devices()
    if text.strip() == "auto":
        return found
    every_cuda = tuple(name for name in found if name != "cpu")
    devices: list[str] = []
    for name in (part.strip() for part in text.split(",")):
        devices += every_cuda if name == "cuda" and every_cuda else [name]
    absent = [name for name in devices if name.startswith("cuda") and name not in found]
    if absent:
        raise BuilderError(f"{option}: {', '.join(absent)} is not there; found: {', '.join(found)}")
    for name in devices:
        if not name.startswith("cuda"):  # CUDA would take memory for this process
            _refuse_unusable(name, option)
    return tuple(devices)


def resolve_device(text: str, option: str = "--device") -> str:
    """Return the one device of this machine that a user names; the first where ``auto`` or ``cuda`` is several.

    Args:
        text: ``auto``, ``cuda`` or another torch device (``cpu``, ``cuda:1``).
        option: where the user wrote it, for the message.

    Raises:
        BuilderError: it is not on this machine, torch knows no such device, or ``text`` names several.

    >>> resolve_device("cpu")
    'cpu'
    """
    if "," in text:
        raise BuilderError(f"{option}: {text} names several devices; give one")
    return resolve_devices(text, option)[0]


def _refuse_unusable(name: str, option: str) -> None:
    import torch

    try:
        torch.empty(0, device=name)
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        reason = str(error).splitlines()[0]
        raise BuilderError(f"{option}: device {name!r} cannot be used: {reason}") from error


def settle_numerics() -> None:
    """Make this process compute the same result every time, whatever the machine's number of cores."""
    import torch

    torch.set_num_threads(1)  # processes do the parallel work, and a sum depends on how threads divide it
    torch.backends.cuda.matmul.allow_tf32 = False  # TF32 drops bits that decide codes
    torch.backends.cudnn.allow_tf32 = False
    torch.backends.cudnn.benchmark = False
    torch.backends.cudnn.deterministic = True
