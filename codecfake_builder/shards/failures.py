"""Tell a codec's or ALM's failure on one clip from a failing device, which ends the build."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch

from codec_adapters.errors import WorkerError, WorkerRefusedError
from codecfake_builder.errors import CheckFailedError
from codecfake_builder.rejections import RejectedError, RejectionReason


def refuse_sick_device(variant: str, longest: float, limit: str, error: BaseException) -> None:
    """End the build where the device failed, so that its failures are not recorded as the clips' own.

    Args:
        longest: seconds of the longest clip of the batch, for the message.
        limit: the field of the recipe that bounds it.

    Raises:
        CheckFailedError: out of memory for a single clip, or an error of the accelerator.
    """
    if isinstance(error, WorkerError | WorkerRefusedError):
        return  # another process's device: its worker is started anew where that helps, and costs its clips alone
    if isinstance(error, torch.OutOfMemoryError):
        raise CheckFailedError(
            f"{variant}: a clip of {longest:.1f} s does not fit into the device's memory even alone; lower "
            f"{limit} or use another device; what is finished is kept"
        ) from error
    if isinstance(error, torch.AcceleratorError) or "CUDA error" in str(error):
        reason = str(error).splitlines()[0]
        raise CheckFailedError(f"{variant}: the device failed ({reason}); what is finished is kept") from error


def rejection_for(error: BaseException, reason: RejectionReason) -> RejectedError:
    """Return the rejection of a clip on which a codec or ALM raised ``error``; a failed worker process has its own
    reason.
    """
    said = str(error).splitlines()[0] if str(error) else ""
    kind = RejectionReason.WORKER_FAILED if isinstance(error, WorkerError) else reason
    return RejectedError(kind, f"{type(error).__name__}: {said}")


@contextmanager
def no_exit(variant: str) -> Iterator[None]:
    """Turn an exit that a codec or model asks for in this context into one line, so that no build ends with code 0.

    Raises:
        CheckFailedError: something that is no ``Exception`` was raised, ``SystemExit`` for instance.
    """
    try:
        yield
    except (Exception, KeyboardInterrupt):
        raise
    except BaseException as error:
        reason = " ".join(f"{type(error).__name__}: {error}".split())[:300]
        raise CheckFailedError(f"{variant}: its code ended with {reason}; what is finished is kept") from error
