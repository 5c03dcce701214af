"""Codecs that came as graphs: TorchScript, torch.export and ONNX give what their modules give, and nothing executes."""

from __future__ import annotations

import json
import pickle
import re
import warnings
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from codec_adapters import CheckpointError, InputError, OptionError
from codec_adapters.errors import OutputError
from codec_adapters.external.adapters.code_order import CODE_ORDERS, found_order
from codec_adapters.external.adapters.exported_archive import load_program
from codec_adapters.external.axes import CodeOrder
from codec_adapters.external.backend import Backend
from codec_adapters.external.exported import ExportedBackend
from codec_adapters.external.onnx import OnnxBackend
from codec_adapters.external.torchscript import TorchscriptBackend
from codec_adapters.files.pinned import PinnedFile
from codec_adapters.loading import load_codec
from tests.kit import external_codecs
from tests.kit.external_codecs import CODEBOOKS, HOP, entry_of, loaded
from tools.small_networks.graphs import write_exported

WAV = torch.rand(3, 5 * HOP + 37, generator=torch.Generator().manual_seed(1)) - 0.5


@pytest.mark.parametrize("make", [external_codecs.torchscript, external_codecs.exported])
def test_an_encoder_and_a_decoder(make: Callable[[Path], Backend], tmp_path: Path) -> None:
    adapter = loaded(tmp_path, make(tmp_path))
    made = adapter.resynthesize(WAV)
    torch.testing.assert_close(made, external_codecs.reference(WAV))
    assert made.abs().max() > 0.01
    for number in range(3):
        assert torch.equal(adapter.resynthesize(WAV[number : number + 1])[0], made[number])
    codes = adapter.encode(WAV)
    assert codes[0].shape == (3, CODEBOOKS, 6)
    assert torch.equal(adapter.decode(codes)[:, : WAV.shape[1]], made)
    for samples in (HOP + 1, 30 * HOP):
        assert adapter.resynthesize(WAV[:, :1].expand(-1, samples)).shape == (3, samples)


def test_a_torchscript_round_trip_in_either_layout(tmp_path: Path) -> None:
    class Flat(nn.Module):
        def forward(self, wav: Tensor) -> Tensor:
            return wav * 0.5

    adapter = loaded(tmp_path, external_codecs.torchscript(tmp_path, external_codecs.RoundTrip()))
    padded = torch.nn.functional.pad(WAV, (0, -WAV.shape[1] % HOP))
    torch.testing.assert_close(
        adapter.resynthesize(WAV), external_codecs.RoundTrip()(padded[:, None])[:, 0, : WAV.shape[1]].detach()
    )
    with pytest.raises(InputError, match="gives no codes"):
        adapter.encode(WAV)
    backend = external_codecs.torchscript(tmp_path, Flat()).model_copy(update={"layout": "BS"})
    assert torch.equal(loaded(tmp_path, backend).resynthesize(WAV), WAV * 0.5)


def test_randomness_in_a_script_is_the_clips_own(tmp_path: Path) -> None:
    class Noisy(nn.Module):
        def forward(self, wav: Tensor) -> Tensor:
            return wav + torch.randn_like(wav)

    adapter = loaded(tmp_path, external_codecs.torchscript(tmp_path, Noisy()))
    state = torch.get_rng_state()
    made = adapter.resynthesize(WAV, [3, 4, 5])
    assert torch.equal(torch.get_rng_state(), state)
    assert torch.equal(adapter.resynthesize(WAV[1:2], [4])[0], made[1])
    assert not torch.equal(adapter.resynthesize(WAV[1:2], [5])[0], made[1])


def test_a_script_computes_the_same_however_often_it_ran(tmp_path: Path) -> None:
    class Deep(nn.Module):
        def forward(self, wav: Tensor) -> Tensor:
            for _ in range(4):
                wav = torch.tanh(wav * 1.1 + 0.1) * torch.sigmoid(wav)
            if wav.shape[0] > 1:
                raise RuntimeError("one by one")
            return wav

    adapter = loaded(tmp_path, external_codecs.torchscript(tmp_path, Deep()))
    first = adapter.resynthesize(WAV)
    assert all(torch.equal(adapter.resynthesize(WAV), first) for _ in range(6))


def test_a_script_that_fails_costs_its_clip_in_one_sentence(tmp_path: Path) -> None:
    class Picky(nn.Module):
        def forward(self, wav: Tensor) -> Tensor:
            if wav.shape[-1] > 1000:
                raise ValueError("too long for me")
            return wav

    adapter = loaded(tmp_path, external_codecs.torchscript(tmp_path, Picky()))
    assert adapter.resynthesize(WAV[:, :700]).shape == (3, 700)
    adapter = loaded(tmp_path, external_codecs.torchscript(tmp_path, Picky()))
    with pytest.raises(OutputError, match=r"^added: failed \(.*too long for me\)$"):
        adapter.resynthesize(WAV[:, :100].repeat(1, 20))


def test_a_script_that_touches_files_is_refused(tmp_path: Path) -> None:
    class Spy(nn.Module):
        def forward(self, wav: Tensor) -> Tensor:
            return wav + torch.from_file("/etc/hostname", size=1)

    with pytest.raises(CheckpointError, match=r"codec\.pt: refused, since it calls torch\.from_file\("):
        loaded(tmp_path, external_codecs.torchscript(tmp_path, Spy()))


class Harmless(nn.Module):
    def forward(self, wav: Tensor) -> Tensor:
        return wav * 0.5


def with_second_code(path: Path, name: Callable[[str], str], before: bool) -> TorchscriptBackend:
    """Write the archive of a harmless script, with code that reads a file beside its own, under another name."""
    torch.jit.script(Harmless()).save(str(path))
    with zipfile.ZipFile(path) as archive:
        members = {key: archive.read(key) for key in archive.namelist()}
    code = next(key for key in members if key.endswith(".py"))
    evil = re.sub(rb"return .*", b'return torch.from_file("/etc/hostname", None, 1)', members[code])
    with warnings.catch_warnings(), zipfile.ZipFile(path, "w") as archive:
        warnings.simplefilter("ignore", UserWarning)  # of names that are there twice
        for key, data in members.items():
            for used, content in sorted([(key, data), *([(name(key), evil)] if key == code else [])], reverse=before):
                archive.writestr(used, content)
    return TorchscriptBackend(**PinnedFile.at(path, path.parent).model_dump())


NAMES: dict[str, Callable[[str], str]] = {
    "the same": lambda key: key,
    "upper case": str.upper,
    "a dot": lambda key: key.replace("/code/", "/./code/"),
    "a step back": lambda key: key.replace("/code/", "/code/x/../"),
    "an absolute one": lambda key: f"/{key}",
    "a drive": lambda key: f"C:{key}",
    "backslashes": lambda key: key.replace("/", "\\"),
}


@pytest.mark.parametrize("before", [False, True])
@pytest.mark.parametrize("name", NAMES)
def test_a_script_with_a_second_code_member_is_refused(name: str, before: bool, tmp_path: Path) -> None:
    """torch takes another member than Python's zipfile: the one that was checked would not be the one that runs."""
    backend = with_second_code(tmp_path / "codec.pt", NAMES[name], before)
    with pytest.raises(CheckpointError, match=r"codec\.pt: refused, since"):
        loaded(tmp_path, backend)


def test_a_member_whose_two_headers_differ_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "codec.pt"
    torch.jit.script(Harmless()).save(str(path))
    data = path.read_bytes()
    place = data.index(b".py")
    path.write_bytes(data[:place] + b".px" + data[place + 3 :])  # before the member; the list at the end says .py
    backend = TorchscriptBackend(**PinnedFile.at(path, tmp_path).model_dump())
    with pytest.raises(CheckpointError, match=r"codec\.pt: no archive, or a damaged one"):
        loaded(tmp_path, backend)


def test_what_was_checked_is_what_is_loaded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The file may be exchanged after it was read: the loader gets the members that were checked."""
    path = tmp_path / "codec.pt"
    torch.jit.script(Harmless()).save(str(path))
    backend = TorchscriptBackend(**PinnedFile.at(path, tmp_path).model_dump())
    original: Any = torch.jit.load

    def exchanged(archive: Any, **options: Any) -> Any:
        path.write_bytes(b"something else")
        return original(archive, **options)

    monkeypatch.setattr(torch.jit, "load", exchanged)
    adapter = loaded(tmp_path, backend)
    assert torch.equal(adapter.resynthesize(WAV), WAV * 0.5)


def test_an_archive_that_expands_without_end_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "codec.pt"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("codec/code/__torch__.py", bytes(1 << 28))
    backend = TorchscriptBackend(**PinnedFile.at(path, tmp_path).model_dump())
    with pytest.raises(CheckpointError, match=r"expands to far more than it is"):
        loaded(tmp_path, backend)


class Evil:
    def __reduce__(self) -> Any:
        return Path.touch, (Path("touched"),)


def test_a_pickle_in_place_of_a_script_does_not_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    torch.save(Evil(), tmp_path / "codec.pt")
    backend = TorchscriptBackend(**PinnedFile.at(tmp_path / "codec.pt", tmp_path).model_dump())
    with pytest.raises(CheckpointError, match=r"codec\.pt: no TorchScript archive"):
        loaded(tmp_path, backend)
    assert not (tmp_path / "touched").exists()


def rewritten(path: Path, change: Callable[[str, bytes], bytes | None], **more: bytes) -> Path:
    """The archive with its members changed, or left out, and more of them."""
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    root = next(iter(members)).partition("/")[0]
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in members.items():
            if (kept := change(name, data)) is not None:
                archive.writestr(name, kept)
        for name, data in more.items():
            archive.writestr(f"{root}/{name}", data)
    return path


def in_program(path: Path, change: Callable[[dict[str, Any]], object]) -> Path:
    def edit(name: str, data: bytes) -> bytes:
        if not name.endswith("models/model.json"):
            return data
        document = json.loads(data)
        change(document)
        return json.dumps(document).encode()

    return rewritten(path, edit)


def first_node(document: dict[str, Any]) -> dict[str, Any]:
    node: dict[str, Any] = document["graph_module"]["graph"]["nodes"][0]
    return node


TOUCH = "__import__('pathlib').Path('touched').touch()"
ATTACKS: dict[str, Callable[[Path], Path]] = {
    "an operator out of torch's modules": lambda path: in_program(
        path, lambda document: first_node(document).update(target="torch.os.system")
    ),
    "an operator that reads files": lambda path: in_program(
        path, lambda document: first_node(document).update(target="torch.ops.aten.from_file.default")
    ),
    "a guard": lambda path: in_program(path, lambda document: document["guards_code"].append(TOUCH)),
    "a shape": lambda path: in_program(
        path,
        lambda document: document["graph_module"]["graph"]["tensor_values"]["wav"]["sizes"][2]["as_expr"].update(
            expr_str=TOUCH
        ),
    ),
    "the name of an input": lambda path: in_program(
        path,
        lambda document: document["graph_module"]["graph"]["inputs"][0]["as_tensor"].update(name=f"wav={TOUCH}"),
    ),
    "a shape of a tensor that is called metadata": lambda path: in_program(
        path,
        lambda document: document["graph_module"]["graph"]["tensor_values"].update(
            metadata={"sizes": [{"as_expr": {"expr_str": TOUCH}}]}
        ),
    ),
    "a container": lambda path: in_program(
        path,
        lambda document: document["graph_module"]["module_call_graph"][0]["signature"].update(
            in_spec='[1, {"\\u0074ype": "argparse.Namespace", "context": null, "children_spec": []}]'
        ),
    ),
    "a custom object": lambda path: rewritten(
        path, lambda _, data: data, **{"data/constants/opaque_obj_0": pickle.dumps(Evil())}
    ),
    "a compiled library": lambda path: rewritten(
        path, lambda _, data: data, **{"data/aotinductor/model/a.so": b"\x7fELF"}
    ),
    "a second program": lambda path: rewritten(path, lambda _, data: data, **{"models/other.json": b"{}"}),
}


@pytest.mark.parametrize("attack", ATTACKS)
def test_an_exported_archive_that_could_execute_code_is_refused(
    attack: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    frames = torch.export.Dim("frames", max=1000)
    path = write_exported(external_codecs.RoundTrip(), tmp_path / "c.pt2", torch.zeros(1, 1, 40), axis2=frames * 4)
    load_program(path)
    with pytest.raises(CheckpointError, match=r"c\.pt2: refused, since loading it could execute code"):
        load_program(ATTACKS[attack](path))
    assert not (tmp_path / "touched").exists()


@pytest.mark.parametrize("member", ["data/sample_inputs/model.pt", "data/weights/weight_0"])
def test_a_pickle_within_an_exported_archive_does_not_run(
    member: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "c.pt2"
    frames = torch.export.Dim("frames", max=1000)
    write_exported(external_codecs.RoundTrip(), path, torch.zeros(1, 1, 40), axis2=frames * 4)
    torch.save(Evil(), tmp_path / "evil.pt")

    def change(name: str, data: bytes) -> bytes:
        if name.endswith(member):
            return (tmp_path / "evil.pt").read_bytes()
        if name.endswith("model_weights_config.json"):
            document = json.loads(data)
            for entry in document["config"].values():
                entry["use_pickle"] = True
            return json.dumps(document).encode() if "weights" in member else data
        return data

    monkeypatch.setenv("TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD", "1")
    with pytest.raises(CheckpointError, match=r"c\.pt2: "):
        load_program(rewritten(path, change))
    assert not (tmp_path / "touched").exists()


def test_an_exported_program_says_which_inputs_it_takes(tmp_path: Path) -> None:
    def program(name: str, example: Tensor, **dynamic: Any) -> ExportedBackend:
        path = write_exported(external_codecs.RoundTrip(), tmp_path / name, example, **dynamic)
        return ExportedBackend(round_trip=PinnedFile.at(path, tmp_path))

    frames = torch.export.Dim("frames", min=100, max=500)
    adapter = loaded(tmp_path, program("a.pt2", torch.zeros(2, 1, 800), axis0=torch.export.Dim("b"), axis2=frames * 4))
    for samples in (80, 401, 1900):
        assert adapter.resynthesize(torch.zeros(2, samples)).shape == (2, samples)
    with pytest.raises(OutputError, match="takes at most 2000 samples, in whole frames the clip has 2080"):
        adapter.resynthesize(torch.zeros(1, 2001))
    with pytest.raises(CheckpointError, match=r"b\.pt2: takes 800 samples and no other length"):
        loaded(tmp_path, program("b.pt2", torch.zeros(1, 1, 800)))
    with pytest.raises(CheckpointError, match=r"c\.pt2: takes 2 or more items at once"):
        loaded(tmp_path, program("c.pt2", torch.zeros(2, 1, 800), axis2=frames * 4))
    backend = ExportedBackend(
        round_trip=PinnedFile.at(
            write_exported(nn.Identity(), tmp_path / "d.pt2", torch.zeros(1, 2, 800), axis2=frames * 4), tmp_path
        )
    )
    with pytest.raises(CheckpointError, match=r"d\.pt2: takes .*; expected \[batch, samples\] or a channel of 1"):
        loaded(tmp_path, backend)


@pytest.fixture
def onnx() -> None:
    pytest.importorskip("onnx", reason="extra onnx is not installed")
    pytest.importorskip("onnxruntime", reason="extra onnx is not installed")


def one_graph(path: Path, data: list[Path] | None = None) -> OnnxBackend:
    beside = [PinnedFile.at(file, path.parent) for file in data or []]
    return OnnxBackend(round_trip=PinnedFile.at(path, path.parent), data=beside)


@pytest.mark.usefixtures("onnx")
@pytest.mark.parametrize("shape", [("b", "n"), (1, 1, "n"), ("b", 1, "n")])
def test_an_onnx_round_trip(shape: tuple[Any, ...], tmp_path: Path) -> None:
    adapter = loaded(tmp_path, one_graph(external_codecs.onnx_round_trip(tmp_path / "g.onnx", shape=shape)))
    assert torch.equal(adapter.resynthesize(WAV), WAV * 0.5)
    assert torch.equal(adapter.resynthesize(WAV[2:]), WAV[2:] * 0.5)


@pytest.mark.usefixtures("onnx")
@pytest.mark.parametrize(("order", "batch"), [("BKT", "b"), ("KBT", "b"), ("BTK", 1), ("TBK", "b")])
def test_an_onnx_pair_whose_codes_have_any_order(order: str, batch: Any, tmp_path: Path) -> None:
    adapter = loaded(tmp_path, external_codecs.onnx_pair(tmp_path, order, batch))
    codes = adapter.encode(WAV)[0]
    assert codes.shape == (3, CODEBOOKS, 6)
    whole = torch.nn.functional.pad(WAV, (0, -WAV.shape[1] % HOP)).unfold(1, HOP, HOP).mean(-1)
    offsets = torch.tensor([0.0, 0.3, 0.6])[None, :, None]
    assert torch.equal(codes, (whole[:, None] * 16 + offsets).floor().long())
    expected = (codes.sum(1) / 48).repeat_interleave(HOP, 1)[:, : WAV.shape[1]]
    torch.testing.assert_close(adapter.resynthesize(WAV), expected)


@pytest.mark.parametrize("order", CODE_ORDERS)
@pytest.mark.parametrize("codebooks", [1, 2, 4])
@pytest.mark.parametrize("one_item_only", [False, True])
def test_the_order_of_codes_is_found(order: CodeOrder, codebooks: int, one_item_only: bool) -> None:
    def encode(wav: Tensor) -> Tensor:
        if one_item_only and wav.shape[0] > 1:
            raise RuntimeError("one by one")
        sizes = {"B": wav.shape[0], "K": codebooks, "T": wav.shape[1] // 10}
        return torch.zeros([sizes[axis] for axis in order], dtype=torch.int64)

    found = found_order("x", encode, torch.zeros(1, 20))  # two frames: as many as codebooks
    if codebooks == 1 and len(order) == 3:  # which of two axes of one is which makes no difference to one item
        assert found.replace("K", "B") == order.replace("K", "B")
    else:
        assert found == order


def test_an_order_that_cannot_be_told_has_to_be_said() -> None:
    with pytest.raises(CheckpointError, match="their order cannot be told; give codes: one of BKT"):
        found_order("x", lambda wav: torch.zeros(1, 4, 6, dtype=torch.int64), torch.zeros(1, 20))
    with pytest.raises(CheckpointError, match="gives codes of 4 axes"):
        found_order("x", lambda wav: torch.zeros(1, 1, 4, wav.shape[1], dtype=torch.int64), torch.zeros(1, 20))


@pytest.mark.usefixtures("onnx")
def test_an_order_that_does_not_fit_is_refused(tmp_path: Path) -> None:
    backend = external_codecs.onnx_pair(tmp_path)
    with pytest.raises(OutputError, match=r"gave codes \[1, 3, \d+\], the codec file says BT"):
        loaded(tmp_path, backend.model_copy(update={"codes": "BT"}))
    assert loaded(tmp_path, backend, codebooks=8).codebooks == 3  # of the network, not of what is said of it


@pytest.mark.usefixtures("onnx")
def test_tensors_beside_a_graph_are_read_from_listed_files_only(tmp_path: Path) -> None:
    import numpy as np

    (tmp_path / "g.data").write_bytes(np.float32(0.25).tobytes())
    path = external_codecs.onnx_round_trip(tmp_path / "g.onnx", external="g.data")
    adapter = loaded(tmp_path, one_graph(path, [tmp_path / "g.data"]))
    assert torch.equal(adapter.resynthesize(WAV), WAV * 0.25)
    with pytest.raises(CheckpointError, match=r"reads g\.data, which the codec file does not list under onnx\.data"):
        loaded(tmp_path, one_graph(path))
    with pytest.raises(CheckpointError, match=r"'\.\./g\.data': a file is named within its folder"):
        loaded(tmp_path, one_graph(external_codecs.onnx_round_trip(tmp_path / "h.onnx", external="../g.data")))


@pytest.mark.usefixtures("onnx")
@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"shape": ("n",)}, r"takes float32 \['n'\]; expected float32 \[batch, samples\]"),
        ({"shape": ("b", 2, "n")}, r"takes float32 \['b', 2, 'n'\]"),
        ({"shape": (1, 16000)}, "takes 16000 samples and no other length"),
        ({"shape": (4, "n")}, "takes 4 items at once"),
        ({"operator": "RandomNormalLike"}, r"draws random numbers \(RandomNormalLike\)"),
        ({"operator": "Mine", "domain": "my.library"}, "operators of libraries are not taken"),
    ],
)
def test_onnx_graphs_that_are_refused(changes: dict[str, Any], words: str, tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=rf"g\.onnx: .*{words}"):
        loaded(tmp_path, one_graph(external_codecs.onnx_round_trip(tmp_path / "g.onnx", **changes)))


def test_external_codecs_run_in_float32_only(tmp_path: Path) -> None:
    entry = entry_of(tmp_path, external_codecs.torchscript(tmp_path))
    with pytest.raises(OptionError, match=r"an added codec runs in float32 only; set execution\.dtype"):
        load_codec(entry, dtype="bfloat16")
    with pytest.raises(CheckpointError, match=r"its codec file names its weights; take weights\.added out"):
        load_codec(entry, checkpoint=tmp_path)


def test_a_program_of_unnamed_modules_is_taken(tmp_path: Path) -> None:
    frames = torch.export.Dim("frames", max=1000)
    torch.manual_seed(2)
    module = nn.Sequential(
        nn.Conv1d(1, 4, 5, padding=2), nn.GELU(), nn.Sequential(nn.Conv1d(4, 1, 3, padding=1))
    ).eval()
    path = write_exported(module, tmp_path / "c.pt2", torch.zeros(1, 1, 40), axis2=frames * 4)
    adapter = loaded(tmp_path, ExportedBackend(round_trip=PinnedFile.at(path, tmp_path)))
    padded = torch.nn.functional.pad(WAV, (0, -WAV.shape[1] % HOP))
    expected = module(padded[:, None])[:, 0, : WAV.shape[1]].detach()
    torch.testing.assert_close(adapter.resynthesize(WAV), expected)


def test_a_script_of_latents_that_takes_no_channel_axis(tmp_path: Path) -> None:
    class Flat(nn.Module):
        def encode(self, wav: Tensor) -> Tensor:
            batch, samples = wav.shape
            return wav.reshape(batch, 1, samples)

        def decode(self, latents: Tensor) -> Tensor:
            return latents * 2

        def forward(self, wav: Tensor) -> Tensor:
            return self.decode(self.encode(wav))

    traced = torch.jit.trace_module(Flat(), {"encode": torch.zeros(1, 160), "decode": torch.zeros(1, 1, 160)})
    traced.save(str(tmp_path / "codec.pt"))
    backend = TorchscriptBackend(**PinnedFile.at(tmp_path / "codec.pt", tmp_path).model_dump())
    adapter = loaded(tmp_path, backend.model_copy(update={"layout": "BS"}))
    assert torch.equal(adapter.resynthesize(WAV), WAV * 2)
    with pytest.raises(InputError, match="has continuous latents"):
        adapter.encode(WAV)
