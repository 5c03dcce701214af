"""The command line: its commands put together, and how it ends.

A module of this folder is one command; what its work needs is imported when it runs,
so that ``--help`` is there at once.
"""

from __future__ import annotations

import io
import signal
import sys
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer
from typer.core import TyperGroup

from codec_adapters.errors import CodecfakeError
from codec_adapters.files.cache import cache_root
from codecfake_builder import __version__
from codecfake_builder.cli import (
    add_codec,
    alms,
    audit,
    benchmark,
    build,
    codecs,
    conformance,
    fetch,
    import_clips,
    plan,
    quality,
    remove_codec,
    verify,
)
from codecfake_builder.progress import say

INTERRUPTED = 130
"""Exit code of a command that Ctrl-C ended, as shells have it: 128 and the number of SIGINT."""


class _InterruptibleGroup(TyperGroup):
    """A group of commands that, on Ctrl-C, prints what is kept and how to go on; typer itself would print nothing."""

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt as error:
            say("error: interrupted; what is finished is kept, and the same command goes on from there")
            raise typer.Exit(error.code if isinstance(error, _Ended) else INTERRUPTED) from None


class _Ended(KeyboardInterrupt):
    """The process was told to end, by ``kill`` or because its terminal is gone."""

    def __init__(self, number: int) -> None:
        super().__init__()
        self.code = 128 + number


def _end(number: int, _: object) -> None:
    raise _Ended(number)


def _end_in_order() -> None:
    """Have SIGTERM and SIGHUP end a command as Ctrl-C does; one that is ignored (``nohup``) stays so."""
    if threading.current_thread() is threading.main_thread():
        for number in (signal.SIGTERM, signal.SIGHUP):
            if signal.getsignal(number) == signal.SIG_DFL:
                signal.signal(number, _end)


app = typer.Typer(
    cls=_InterruptibleGroup,
    name="codecfake_builder",
    help="Build and check ST-Codecfake-style datasets: speech re-synthesized through neural audio codecs.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

app.command("add-codec", epilog=add_codec.EXAMPLE)(add_codec.add_codec)
app.command("conformance", epilog=conformance.EXAMPLE)(conformance.conformance)
app.command("build", epilog=build.EXAMPLE)(build.build)
app.command("remove-codec", epilog=remove_codec.EXAMPLE)(remove_codec.remove_codec)
app.command("import", epilog=import_clips.EXAMPLE)(import_clips.import_clips)
app.command("plan", epilog=plan.EXAMPLE)(plan.plan)
app.command("verify", epilog=verify.EXAMPLE)(verify.verify)
app.command("audit", epilog=audit.EXAMPLE)(audit.audit)
app.command("quality", epilog=quality.EXAMPLE)(quality.quality)
app.command("codecs", epilog=codecs.EXAMPLE)(codecs.codecs)
app.command("alms", epilog=alms.EXAMPLE)(alms.alms)
app.command("fetch", epilog=fetch.EXAMPLE)(fetch.fetch)
app.add_typer(benchmark.app)


def _print_version(asked: bool) -> None:
    if asked:
        print(f"codecfake_builder {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    pass


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Run the command line and exit: 0, 1 when a check failed, 2 for bad usage or input; no traceback for a user."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # what the locale has no character for
    _end_in_order()
    try:
        app(args=arguments, standalone_mode=True)
    except CodecfakeError as error:
        _fail(str(error), error.exit_code)
    except OSError as error:
        place = f"{error.filename}: " if error.filename else ""
        _fail(f"{place}{error.strerror or error}{_of_the_cache(error.filename)}", 1)
    sys.exit(0)


def _of_the_cache(file: object) -> str:
    """Return what to do about a file of the user's cache that cannot be written, since the path alone does not tell."""
    place = cache_root()
    path = Path(file) if isinstance(file, str) else None
    inside = path is not None and (path.is_relative_to(place) or path in place.parents[:-1])
    return f" (of the cache, {place}; set CODECFAKE_CACHE to a folder that can be written)" if inside else ""


def _fail(message: str, code: int) -> NoReturn:
    for line in message.splitlines():
        say(f"error: {line}")
    sys.exit(code)
