"""Recipes: YAML that says which corpora, which splits, which variants. Unknown keys and wrong values are refused."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, Literal, get_args

import yaml
from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError, model_validator

from codec_adapters import OptionError
from codec_adapters.registry import merged_options
from codec_adapters.spec import LABELS
from codecfake_builder.clip_class import REAL, declare_classes
from codecfake_builder.codecs.alm_facts import AlmFacts
from codecfake_builder.codecs.codec_facts import CodecFacts
from codecfake_builder.codecs.isolated import IsolatedEntry, resolved
from codecfake_builder.codecs.plugins import added_codecs, load_plugins
from codecfake_builder.codecs.variants import codec_spec, known_variants, nearest_variant, variant_spec
from codecfake_builder.corpora import AnyCorpus
from codecfake_builder.corpora.base import UserPath
from codecfake_builder.errors import RecipeError
from codecfake_builder.overrides import apply_override
from codecfake_builder.resources import nearest, resource_folder

IMPORTED = "imported"
"""In a split's list of variants: the clips of its corpora that exist already, under the variant that each names."""

Name = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_]+$")]
"""A name that can stand in a file name and as a Hugging Face split or config name."""

PACKAGED_OR_FILE = ("ids", "only", "table")
"""Fields that hold the name of a packaged list or table, or a path."""

OptionValue = bool | int | float | str


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


Draw = Annotated[int, Field(ge=1)] | Annotated[dict[Name, Annotated[int, Field(ge=1)]], Field(min_length=1)]


class Split(_Part):
    """Which utterances of which corpora a split holds, and through which variants they pass.

    A variant is ``real``, a codec variant, an ALM (the utterances are its prompts), or ``imported``. Clips that
    exist already (a corpus of fakes, imported clips) are taken by splits that name ``imported``, and by no other;
    speech is taken by splits that name any other variant.

    Exactly one of ``draw`` (a number of utterances, or one per corpus), ``share`` (a part of what no list claims),
    ``ids`` (a list of utterance ids: a packaged one by name, or a file), ``labels`` (a released ST-Codecfake label
    file: its real utterances) or ``same_as`` (another split) selects the utterances.
    """

    variants: list[str] = Field(min_length=1)
    corpora: list[str] | None = None
    """``None``: every corpus that no other split claims for itself. Beside ``same_as``: only these of the other's."""
    draw: Draw | None = None
    share: float | None = Field(default=None, gt=0, le=1)
    ids: str | None = None
    labels: UserPath | None = None
    same_as: str | None = None
    only: str | None = None
    """With ``same_as``: only those of its utterances that are on this list (see ``ids``)."""
    optional: bool = False
    """Leave the split out where a variant's weights have no official source and no folder is given for them."""
    missing: Literal["error", "skip"] = "error"
    """What to do about utterances to list or draw that the corpora do not have."""

    @model_validator(mode="after")
    def _one_selection(self) -> Split:
        given = [key for key in ("draw", "share", "ids", "labels", "same_as") if getattr(self, key) is not None]
        if len(given) != 1:
            found = " and ".join(given) or "none of them"
            raise ValueError(f"give exactly one of draw, share, ids, labels, same_as; found {found}")
        if isinstance(self.draw, dict) and self.corpora is not None:
            raise ValueError("draw names the corpora with their numbers already; leave corpora out")
        if self.only is not None and self.same_as is None:
            raise ValueError("only narrows same_as; without it, give the list as ids")
        return self

    @property
    def own_corpora(self) -> list[str] | None:
        """The corpora that the split names, by a list or with the numbers to draw."""
        return list(self.draw) if isinstance(self.draw, dict) else self.corpora


class Assignment(_Part):
    """How drawn utterances are assigned to splits.

    ``paper``: by utterance, as the publication did. ``speaker_disjoint``: no speaker in two splits; every split gets
    each language in the proportion of the corpora, or with ``languages: equal`` the same number of each.
    """

    method: Literal["paper", "speaker_disjoint"] = "paper"
    languages: Literal["proportional", "equal"] = "proportional"
    seed: int = 2501


class AudioPolicy(_Part):
    """What may go into the dataset; the chain itself is fixed (see ``codecfake_builder.audio``)."""

    min_seconds: float = Field(default=0.3, ge=0.0)
    """Shorter utterances are left out (a FLAC of at most 4,096 samples cannot be read twice by libsndfile)."""
    max_seconds: float = Field(default=60.0, gt=0)
    tail_seconds: float = Field(default=0.25, gt=0)
    """Codecs whose output depends on appended silence only at its end get inputs of a multiple of this length."""
    max_missing_seconds: float = Field(default=0.05, ge=0)
    """A codec's output may be shorter than its source by at most this much; it is padded with zeros."""
    max_rejected_share: float = Field(default=0.05, ge=0, le=1)
    """When codecs fail on more than this share of a split's clips of one variant, the build ends with exit code 1."""


class CardSettings(_Part):
    """What the dataset card tells beyond the tables."""

    weights_licence: str = ""
    """Licence of the checkpoints of ``weights:``; by default the card tells that of the official ones."""
    stoi_clips: int = Field(default=0, ge=0)
    """Clips of each split and variant whose intelligibility (STOI) against their source is measured for the card."""


class Execution(_Part):
    """Where and how the work is done. Nothing here changes which clips a dataset holds."""

    device: str = "auto"
    """``auto``: every CUDA device there is, else the CPU; or one torch device, or several separated by commas."""
    dtype: Literal["float32", "bfloat16", "float16"] = "float32"
    """Of the networks. float16 changes few codes; bfloat16 most of those of DAC, SNAC, FACodec and AudioDec, which are
    then other codecs than the published ones (``benchmarks/half_precision.md``). In neither is a clip sure not to
    depend on what it was batched with."""
    workers: int | None = Field(default=None, ge=1)
    """Processes; by default one per CUDA device, or one per CPU core; on a cluster, all that the scheduler has."""
    scheduler: str | None = None
    """Address of a running dask scheduler (``tcp://host:8786``), whose workers see the same folders."""
    clips_per_shard: int = Field(default=1000, ge=1)
    prompts_per_shard: int = Field(default=100, ge=1)
    """Clips per shard of an ALM: fewer, since each takes long and an interruption costs the unfinished shards."""
    batch_seconds: float | None = Field(default=None, gt=0)
    """Audio per batch; by default one clip on a CPU and a measured amount on a GPU."""


class _Brought(BaseModel):
    """The parts of a recipe that make names known which its other parts may use."""

    plugins: list[str] = []
    """What adds further variants: Python modules, or files relative to the recipe (they are code, and run); and codec
    files (``.yaml``, data; see ``docs/codec_files.md``)."""
    classes: dict[Name, Annotated[int, Field(ge=len(LABELS))]] = {}
    """Labels of new classes of which there are imported clips only. (A codec's class comes with the codec.)"""


class Recipe(_Part, _Brought):
    """Everything that decides what a dataset holds."""

    name: Name
    title: str
    notes: list[str] = []
    """For the dataset card: what a reader should know of the choices made here."""
    corpora: dict[Name, AnyCorpus] = Field(min_length=1)
    splits: dict[Name, Split] = Field(min_length=1)
    assignment: Assignment = Assignment()
    audio: AudioPolicy = AudioPolicy()
    options: dict[str, dict[str, OptionValue]] = {}
    """Inference options per variant, over the variant's defaults; a codec's hold where an ALM speaks through it too."""
    weights: dict[str, UserPath] = {}
    """Local folder per checkpoint (an entry of weights.lock) or per variant (codec or ALM); others are fetched."""
    card: CardSettings = CardSettings()
    isolated: dict[Name, IsolatedEntry] = {}
    """Codecs and ALMs that run in an environment of their own, by the name of the variant that they are to have."""
    retired_labels: dict[Annotated[int, Field(ge=len(LABELS))], str] = {}
    """Classes whose codecs were removed: their ids are not given again, so that no other class changes its own."""
    execution: Execution = Execution()

    def variants(self) -> list[str]:
        """Every variant that a split uses, ``real`` first, then in label order."""
        used = {variant for split in self.splits.values() for variant in split.variants if variant != IMPORTED}
        return sorted(used, key=lambda name: (name != REAL, name != REAL and codec_spec(name).label, name))

    def selected_by(self, name: str) -> str:
        """The split whose selection decides the utterances of split ``name``: itself, or the one it is the same as,
        all of it or (``only``) a part."""
        while (parent := self.splits[name].same_as) is not None:
            name = parent
        return name

    def split_corpora(self, name: str) -> list[str]:
        """The corpora that split ``name`` takes its utterances from."""
        own = self.splits[name].own_corpora
        selecting = self.splits[self.selected_by(name)].own_corpora if own is None else own
        if selecting is not None:
            return selecting
        claimed = {corpus for other in self.splits.values() for corpus in other.own_corpora or ()}
        return [corpus for corpus in self.corpora if corpus not in claimed] or list(self.corpora)


def packaged_recipes() -> list[str]:
    """Names of the recipes that travel with the package."""
    return sorted(path.stem for path in resource_folder("recipes").glob("*.yaml"))


def load_recipe(recipe: str, overrides: list[str] | None = None) -> Recipe:
    """Read a recipe, lay ``--set`` overrides over it, and check all of it.

    Args:
        recipe: a path, or the name of a packaged recipe.
        overrides: ``a.b=value`` each; the value is YAML; ``null`` for a whole corpus or split takes it out.

    Raises:
        RecipeError: one line per problem, each with the path of the field.
    """
    path = _recipe_path(recipe)
    try:
        document = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError, RecursionError) as error:
        raise RecipeError(f"{path}: not valid YAML: {' '.join(str(error).split())}") from error
    if not isinstance(document, dict):
        raise RecipeError(f"{path}: expected a mapping with name, corpora and splits")
    _anchor_paths(document, path.parent)
    return parse_recipe(document, recipe, path.parent, overrides)


def parse_recipe(document: dict[str, Any], recipe: str, folder: Path, overrides: list[str] | None = None) -> Recipe:
    """Lay overrides over a recipe that is read already, and check all of it.

    Args:
        document: the recipe as data.
        recipe: its name, for messages.
        folder: what its relative paths of code are relative to.
        overrides: as for :func:`load_recipe`.

    Raises:
        RecipeError: one line per problem, each with the path of the field.
    """
    for override in overrides or []:
        apply_override(document, override)
    for part in ("corpora", "splits"):
        if isinstance(document.get(part), dict):
            document[part] = {name: value for name, value in document[part].items() if value is not None}
    try:
        brought = _Brought.model_validate(document)
        plugins = load_plugins(brought.plugins, folder)
        declare_classes(brought.classes)
        parsed = Recipe.model_validate(document)
    except ValidationError as error:
        raise RecipeError("\n".join(f"{recipe}: {line}" for line in _explained(error))) from error
    isolated = resolved(parsed.isolated, folder)
    parsed = parsed.model_copy(update={"plugins": plugins, "isolated": isolated})
    problems = list(_cross_checks(parsed))
    if problems:
        raise RecipeError("\n".join(f"{recipe}: {line}" for line in problems))
    return parsed


def _recipe_path(recipe: str) -> Path:
    for path in (Path(recipe), resource_folder("recipes") / f"{recipe}.yaml"):
        if path.is_file():
            return path
    raise RecipeError(f"{recipe}: neither a file nor a packaged recipe; {nearest(recipe, packaged_recipes())}")


def _anchor_paths(document: dict[str, Any], folder: Path) -> None:
    """Make relative paths in a recipe relative to its own folder: it works from wherever it is named.

    A packaged list or table is called by its name; only where the recipe's folder has such a file is it a path.
    """

    def groups(part: str) -> list[dict[str, Any]]:
        group = document.get(part)
        return [value for value in group.values() if isinstance(value, dict)] if isinstance(group, dict) else []

    places = [(corpus, key) for corpus in groups("corpora") for key in ("root", "table", "ids")]
    places += [(split, key) for split in groups("splits") for key in ("labels", "ids", "only")]
    if isinstance(weights := document.get("weights"), dict):
        places += [(weights, key) for key in weights]
    for group, key in places:
        value = group.get(key)
        if (
            isinstance(value, str)
            and not value.startswith(("~", "/"))
            and (key not in PACKAGED_OR_FILE or (folder / value).is_file())
        ):
            group[key] = str(folder / value)


def _explained(error: ValidationError) -> Iterator[str]:
    """Pydantic's findings, one line each: path of the field, what is wrong, and the nearest known key."""
    for problem in error.errors():
        place = _place(problem["loc"])
        kind, context = problem["type"], problem.get("ctx", {})
        if kind == "extra_forbidden":
            yield f"{place}: unknown key; {nearest(str(problem['loc'][-1]), _known_keys(problem['loc']))}"
        elif kind == "union_tag_invalid":
            known = [tag.strip(" '") for tag in context["expected_tags"].split(",")]
            yield f"{place}.kind: unknown corpus kind {context['tag']!r}; {nearest(str(context['tag']), known)}"
        elif kind == "union_tag_not_found":
            yield f"{place}.kind: missing; one of {', '.join(_corpus_kinds())}"
        elif kind == "missing":
            yield f"{place}: missing"
        else:
            yield f"{place}: {problem['msg'].removeprefix('Value error, ')}, got {problem['input']!r:.60}"


def _place(location: tuple[int | str, ...]) -> str:
    """A field's path; pydantic puts the corpus kind into the location, a reader does not want it there."""
    parts = list(location)
    if parts[:1] == ["corpora"] and len(parts) > 2:
        del parts[2]
    return ".".join(str(part) for part in parts if part != "[key]")


def _known_keys(location: tuple[int | str, ...]) -> list[str]:
    if location[0] == "corpora":
        return list(_corpus_kinds()[str(location[2])].model_fields)
    if location[0] == "isolated":
        part: dict[object, type[BaseModel]] = {"codec": CodecFacts, "alm": AlmFacts}
        return list((part.get(location[2], IsolatedEntry) if len(location) > 3 else IsolatedEntry).model_fields)
    models: dict[str, type[BaseModel]] = {
        "splits": Split,
        "assignment": Assignment,
        "audio": AudioPolicy,
        "card": CardSettings,
        "execution": Execution,
    }
    model = Recipe if len(location) == 1 else models.get(str(location[0]), Recipe)
    return list(model.model_fields)


def _corpus_kinds() -> dict[str, type[BaseModel]]:
    """The configuration class of every corpus kind."""
    union, _ = get_args(AnyCorpus)
    return {get_args(config.model_fields["kind"].annotation)[0]: config for config in get_args(union)}


def _cross_checks(recipe: Recipe) -> Iterator[str]:
    """What only shows when the parts are held against each other."""
    known = [REAL, IMPORTED, *known_variants()]
    yield from (f"plugins: {name} is both a codec variant and an ALM" for name in _doubles(known))
    twice = sorted(set(recipe.isolated) & set(added_codecs(recipe.plugins))) if recipe.isolated else []
    yield from (f"isolated.{name}: a codec file of plugins adds a codec of this name too" for name in twice)
    for name, split in recipe.splits.items():
        for number, variant in enumerate(split.variants):
            if variant not in known:
                yield f"splits.{name}.variants.{number}: unknown variant {variant!r}; {nearest_variant(variant, known)}"
        for number, corpus in enumerate(split.own_corpora or ()):
            if corpus not in recipe.corpora:
                place = f"draw.{corpus}" if split.corpora is None else f"corpora.{number}"
                yield (
                    f"splits.{name}.{place}: the recipe has no corpus {corpus!r}; "
                    f"{nearest(corpus, list(recipe.corpora))}"
                )
        yield from _check_selection(recipe, name, split)
    for variant, options in recipe.options.items():
        if variant in (REAL, IMPORTED) or variant not in known:
            yield f"options.{variant}: unknown variant; {nearest_variant(variant, known)}"
            continue
        try:
            merged_options(variant_spec(variant), options)
        except OptionError as error:
            yield f"options: {error}"
    checkpoints = {variant_spec(name).checkpoint for name in known[2:]} - {""}
    for key in recipe.weights:
        if key not in checkpoints and key not in known[2:]:
            yield f"weights.{key}: neither a checkpoint nor a variant; {nearest(key, sorted(checkpoints))}"


def _check_selection(recipe: Recipe, name: str, split: Split) -> Iterator[str]:
    place = f"splits.{name}"
    if split.same_as is not None:
        earlier = list(recipe.splits)[: list(recipe.splits).index(name)]
        if split.same_as not in earlier:
            yield f"{place}.same_as: {split.same_as!r} is no split above this one; {nearest(split.same_as, earlier)}"
        elif others := set(split.corpora or ()) - set(recipe.split_corpora(split.same_as)):
            yield f"{place}.corpora: {split.same_as!r} takes nothing from {', '.join(sorted(others))}"
    if recipe.assignment.method == "speaker_disjoint" and (split.ids or split.labels):
        yield f"{place}: a list cannot be kept speaker-disjoint; use draw or share, or assignment.method: paper"
    if recipe.assignment.method == "speaker_disjoint" and isinstance(split.draw, dict):
        yield f"{place}.draw: numbers per corpus cannot be kept speaker-disjoint; give one number, or use method: paper"
    if len(set(split.variants)) != len(split.variants):
        yield f"{place}.variants: a variant is named twice"


def _doubles(names: list[str]) -> list[str]:
    return [name for name, count in Counter(names).items() if count > 1]
