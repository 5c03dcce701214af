"""Lists of utterance ids that a recipe names: plain lists, and the label files that ST-Codecfake released."""

from __future__ import annotations

import unicodedata
from collections import Counter
from collections.abc import Collection, Sequence
from pathlib import Path, PurePosixPath

from codec_adapters.files.documents import nearest
from codecfake_builder.audio import AUDIO_SUFFIXES
from codecfake_builder.corpora.listing.paths import home_expanded, is_file
from codecfake_builder.errors import RecipeError
from codecfake_builder.resources import resource_folder
from codecfake_builder.text_files import read_lines

PACKAGED_SUFFIX = "_utterances.txt"


def read_ids(name: str) -> list[str]:
    """Read utterance ids, one a line, from a packaged list by name (``stcodecfake_eval``) or from a file.

    Raises:
        RecipeError: there is neither a file nor a packaged list of that name, or the file is no text.
    """
    folder = resource_folder("manifests")
    for path in (folder / f"{name}{PACKAGED_SUFFIX}", home_expanded(name)):
        if is_file(path):
            lines = (line.strip() for line in read_lines(path, error=RecipeError))
            return list(dict.fromkeys(line for line in lines if line))
    packaged = sorted(path.name.removesuffix(PACKAGED_SUFFIX) for path in folder.glob(f"*{PACKAGED_SUFFIX}"))
    raise RecipeError(f"ids: {name:.200}: neither a file nor a packaged list of utterances; {nearest(name, packaged)}")


def as_known(listed: Sequence[str], known: Collection[str]) -> list[str]:
    """Return listed ids, each as the corpus spells it where it is known only otherwise: without an audio suffix, with
    ``-`` for ``/``, composed of other characters (``é`` as one or as two), or without the folders before it.

    The last is taken only where no other listed id ends the same.

    >>> as_known(["a.wav", "clips/b.flac", "c", "d"], {"a", "b", "c"})
    ['a', 'b', 'c', 'd']
    """
    composed = {unicodedata.normalize("NFC", identity): identity for identity in known}
    spellings = {identity: (identity, *_spellings(identity)) for identity in dict.fromkeys(listed)}
    ends = Counter(spelled[-1] for spelled in spellings.values())
    found = []
    for identity, spelled in spellings.items():
        tried = spelled if ends[spelled[-1]] == 1 else spelled[:-1]
        forms = (composed.get(unicodedata.normalize("NFC", form)) for form in tried)
        found.append(identity if identity in known else next((form for form in forms if form is not None), identity))
    return list(dict.fromkeys(found))


def _spellings(identity: str) -> tuple[str, str, str]:
    suffix = PurePosixPath(identity).suffix
    path = identity.removesuffix(suffix) if suffix.lower() in AUDIO_SUFFIXES else identity
    parts = [part for part in path.split("/") if part not in ("", ".")]
    return path, "-".join(parts), parts[-1] if parts else path


def unlike(listed: Sequence[str], known: Collection[str]) -> str:
    """Return the end of a message about a list of which no id is known: an id of each, to be compared."""
    examples = [min(ids, default="") for ids in (listed, known)]
    return f"; the list has {examples[0]!r:.60}, the corpus {examples[1]!r:.60}" if all(examples) else ""


def read_labels(path: Path) -> list[str]:
    """Read utterance ids from a released label file: lines ``<file> real|fake <class>``.

    The ids are the stems of the real files, which keep the id of their source utterance.

    Raises:
        RecipeError: no such file, a line of another form, a file that is real and fake, or no real utterance in it.
    """
    if not is_file(path):
        raise RecipeError(f"labels: {path}: no such file")
    tags: dict[str, str] = {}
    for number, line in enumerate(read_lines(path, error=RecipeError), start=1):
        fields = line.split()
        if not fields:
            continue
        if len(fields) != 3 or fields[1] not in ("real", "fake"):
            raise RecipeError(
                f"labels: {path}: line {number}: expected '<file> real|fake <class>', found {line[:60]!r}"
            )
        if tags.setdefault(fields[0], fields[1]) != fields[1]:
            raise RecipeError(f"labels: {path}: line {number}: {fields[0]!r} is {fields[1]} here, another above")
    ids = list(dict.fromkeys(Path(name).stem for name, tag in tags.items() if tag == "real"))
    if not ids:
        raise RecipeError(f"labels: {path}: no line says real, so it names no source utterances")
    return ids
