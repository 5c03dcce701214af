"""Ways in made from what a user has: a model folder, a hub repository, graphs; every file sealed as it is now."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from codec_adapters import CheckpointError
from codec_adapters.external import HubFolder
from codec_adapters.external.files import listed
from codec_adapters.files import weights
from codecfake_builder.codecs.codec_ways import OnnxPart, Seal, TransformersPart, sealed

_PICKED = (".json", ".safetensors", ".bin")
"""What transformers may pick in a model folder."""


def transformers_folder(model: Path, folder: Path) -> TransformersPart:
    """The transformers codec in ``model``, for a codec file in ``folder``.

    Raises:
        CheckpointError: the folder holds no config or no weights.
    """
    if not model.is_dir():
        raise CheckpointError(f"{model}: no such folder")
    names = sorted(path.name for path in model.iterdir() if path.suffix in _PICKED and path.is_file())
    _refuse_incomplete(str(model), names)
    place = model.absolute()
    inside = place.is_relative_to(folder.absolute())
    said = place.relative_to(folder.absolute()).as_posix() if inside else str(place)
    return TransformersPart(folder=said, files=_seals(place, names))


def hub_repository(repo: str, revision: str = "main") -> TransformersPart:
    """The transformers codec in a hub repository, at the commit that ``revision`` is now; its files are downloaded.

    Raises:
        CheckpointError: no network, no such repository, or one without config or weights.
    """
    import huggingface_hub

    try:
        info = huggingface_hub.HfApi().model_info(repo, revision=revision)
        commit, there = str(info.sha), [str(file.rfilename) for file in info.siblings or ()]
    except Exception as error:  # the client raises a dozen kinds
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise CheckpointError(f"{repo}: cannot be found on the hub at {revision} ({reason})") from error
    tensors = [name for name in there if name.startswith("model") and name.endswith(".safetensors")]
    tensors = tensors or [name for name in there if name == "pytorch_model.bin"]
    beside = ("config.json", "preprocessor_config.json", "model.safetensors.index.json")
    names = sorted([*(name for name in there if name in beside), *tensors])
    _refuse_incomplete(f"{repo}@{commit}", names)
    hub = HubFolder(repo, commit)
    files = tuple(weights.LockedFile(name) for name in names)
    entry = weights.LockedCheckpoint(repo, "", files, hub=repo, revision=commit)
    weights.fetch_into(hub.folder, entry, "give a local folder instead")
    return TransformersPart(repo=repo, commit=commit, files=_seals(hub.folder, names))


def _refuse_incomplete(where: str, names: Iterable[str]) -> None:
    there = set(names)
    if "config.json" not in there or not any(name.endswith((".safetensors", ".bin")) for name in there):
        found = ", ".join(sorted(there)[:8]) or "nothing"
        raise CheckpointError(f"{where}: expected config.json and model.safetensors, found {found}")


def _seals(place: Path, names: Iterable[str]) -> dict[str, Seal]:
    files = {name: listed(place, name) for name in names}
    return {name: Seal(sha256=file.sha256, size=file.size) for name, file in files.items()}


def onnx_graphs(graphs: list[Path], folder: Path) -> OnnxPart:
    """One round-trip graph, or encoder and decoder, with the files of their tensors, for a codec file in ``folder``.

    Raises:
        CheckpointError: neither one graph nor two, no graph, or files outside of the folder.
    """
    from codec_adapters.external.onnx import external_files

    if len(graphs) not in (1, 2):
        raise CheckpointError(f"onnx: give one graph (a round trip) or two (encoder, decoder); got {len(graphs)}")
    beside = {graph.parent / name: None for graph in graphs for name in sorted(external_files(graph))}
    data = [sealed(path, folder) for path in beside]
    if len(graphs) == 1:
        return OnnxPart(round_trip=sealed(graphs[0], folder), data=data)
    return OnnxPart(encoder=sealed(graphs[0], folder), decoder=sealed(graphs[1], folder), data=data)
