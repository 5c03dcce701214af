"""An installed copy carries its recipes and manifests, and works from any folder."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from tests.conftest import REPOSITORY

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, unpacked as an installation would."""
    pytest.importorskip("hatchling", reason="hatchling is not installed (extra dev)")
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)]
    subprocess.run(command, cwd=REPOSITORY, check=True, capture_output=True)
    with zipfile.ZipFile(next(folder.glob("*.whl"))) as wheel:
        wheel.extractall(folder / "site")
    return folder / "site"


def test_recipes_manifests_and_variants_are_in_the_wheel(installed: Path) -> None:
    for folder in ("recipes", "manifests"):
        carried = {path.name for path in (installed / "codecfake_builder" / "_data" / folder).iterdir()}
        assert carried == {path.name for path in (REPOSITORY / folder).iterdir()}
    assert (installed / "codec_adapters" / "_data" / "weights.lock").is_file()
    families = Path("codec_adapters") / "families" / "variants"
    variants = {path.name for path in (REPOSITORY / families).glob("*.yaml")}
    assert variants
    assert {path.name for path in (installed / families).iterdir()} == variants
    worker = installed / "codec_adapters" / "external" / "worker"
    assert (worker / "kit" / "codecfake_driver.py").is_file()
    for driver in ("g711.py", "parrot.py", "template.py"):
        assert (worker / "drivers" / driver).is_file()
    assert not [path for path in installed.iterdir() if path.name in ("recipes", "manifests", "tests")]


def test_every_template_is_in_the_wheel(installed: Path) -> None:
    templates = sorted(path.relative_to(REPOSITORY) for path in (REPOSITORY / "codecfake_builder").rglob("*.j2"))
    assert {path.parts[1] for path in templates} == {"benchmark", "changes", "dataset"}
    assert all((installed / path).read_bytes() == (REPOSITORY / path).read_bytes() for path in templates)


def test_an_installed_copy_works_from_any_folder(installed: Path, tmp_path: Path) -> None:
    code = (
        f"import sys; sys.path.insert(0, {str(installed)!r})\n"
        "from codec_adapters.files import weights\n"
        "from codecfake_builder.recipe.load import load_recipe, packaged_recipes\n"
        "import codecfake_builder; assert codecfake_builder.__file__.startswith(sys.path[0])\n"
        "assert load_recipe('lyra').recipe.name == 'lyra'\n"
        "assert 'lyra_v2' in weights.lock()\n"
    )
    done = subprocess.run([sys.executable, "-P", "-c", code], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
