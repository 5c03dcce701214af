"""``add-codec --builtin``: write the files of a new codec family of this project, to be filled in."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

import jinja2

import codec_adapters
from codec_adapters.classes import LABELS
from codec_adapters.external.facts import CodecFacts
from codec_adapters.files.documents import parsed_mapping
from codecfake_builder.errors import BuilderError
from codecfake_builder.files import write_text

TEMPLATES = Path(__file__).parent / "templates"


@dataclass(frozen=True)
class Skeleton:
    """The files that were written into the source tree."""

    written: tuple[Path, ...]
    edited: tuple[Path, ...]


def write_skeleton(name: str, facts: CodecFacts, repo: str, checkout: Path | None = None) -> Skeleton:
    """Write module, variants, test and manifest entry of a new family, and its line in ``classes.LABELS``.

    Args:
        name: of its first variant.
        facts: of that variant; the family must be new.
        repo: of the upstream.
        checkout: the source tree; by default the one that runs.

    Raises:
        BuilderError: this is no checkout, the family is there, or a file would be overwritten; nothing is written.
    """
    root = checkout or Path(codec_adapters.__file__).parent.parent
    if not (root / "tests").is_dir() or not (root / "pyproject.toml").is_file():
        raise BuilderError(f"--builtin writes into a checkout of this project; {root} is none. Leave --builtin out")
    if facts.family in LABELS:
        raise BuilderError(
            f"--family {facts.family}: is built in; add a variant to "
            f"codec_adapters/families/variants/{facts.family}.yaml"
        )
    targets = {
        "adapter.py": root / "codec_adapters" / "families" / f"{facts.family}.py",
        "variants.yaml": root / "codec_adapters" / "families" / "variants" / f"{facts.family}.yaml",
        "test.py": root / "tests" / "codec_adapters" / "families" / f"test_{facts.family}.py",
    }
    for path in targets.values():
        if path.exists():
            raise BuilderError(f"{path}: is there already; choose another --family")
    classes, lock = root / "codec_adapters" / "classes.py", root / "manifests" / "weights.lock"
    labels, locked = _with_label(classes, facts.family), lock.read_text(encoding="utf-8")
    if name in parsed_mapping(locked, str(lock), "an entry per checkpoint"):
        raise BuilderError(f"{lock}: has an entry {name} already; choose another name")
    said = facts.model_dump(exclude={"taxonomy"}) | facts.taxonomy.model_dump()
    camel = "".join(part.capitalize() for part in facts.family.split("_"))
    values = {**said, "name": name, "repo": repo, "module": facts.family, "class_name": f"{camel}Adapter"}
    environment = jinja2.Environment(  # noqa: S701 - source code, not HTML
        loader=jinja2.FileSystemLoader(TEMPLATES), undefined=jinja2.StrictUndefined, keep_trailing_newline=True
    )
    texts = {key: environment.get_template(f"{key}.j2").render(values) for key in targets}
    entry = environment.get_template("weights.j2").render(values)
    for key, path in targets.items():
        write_text(path, texts[key])
    write_text(classes, labels)
    write_text(lock, locked.rstrip("\n") + "\n" + entry)
    return Skeleton(tuple(targets.values()), (classes, lock))


def _with_label(classes: Path, family: str) -> str:
    """Return the text of ``classes.py`` with the family under the next label."""
    text = classes.read_text(encoding="utf-8")
    last, label = max(LABELS.items(), key=lambda item: item[1])
    line = re.search(rf'^( *)"{re.escape(last)}": {label},\n', text, re.MULTILINE)
    if line is None:
        raise BuilderError(f'{classes}: LABELS has no line "{last}": {label}; add the family by hand')
    return text[: line.end()] + f'{line[1]}"{family}": {label + 1},\n' + text[line.end() :]
