"""Corpora: source speech on disk, one module per kind. A new kind joins the union ``AnyCorpus`` here."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from codecfake_builder.corpora.aishell3 import Aishell3Config
from codecfake_builder.corpora.asvspoof2019la import Asvspoof2019LaConfig
from codecfake_builder.corpora.base import CorpusConfig, SourceFile
from codecfake_builder.corpora.folder import FolderConfig
from codecfake_builder.corpora.huggingface import HuggingFaceConfig
from codecfake_builder.corpora.imported import ImportedConfig
from codecfake_builder.corpora.in_the_wild import InTheWildConfig
from codecfake_builder.corpora.ncssd import NcssdConfig
from codecfake_builder.corpora.st_codecfake import StCodecfakeConfig
from codecfake_builder.corpora.vctk import VctkConfig

AnyCorpus = Annotated[
    VctkConfig
    | Aishell3Config
    | NcssdConfig
    | Asvspoof2019LaConfig
    | InTheWildConfig
    | HuggingFaceConfig
    | FolderConfig
    | ImportedConfig
    | StCodecfakeConfig,
    Field(discriminator="kind"),
]
"""A corpus of a recipe; ``kind`` says which."""

__all__ = [
    "Aishell3Config",
    "AnyCorpus",
    "Asvspoof2019LaConfig",
    "CorpusConfig",
    "FolderConfig",
    "HuggingFaceConfig",
    "ImportedConfig",
    "InTheWildConfig",
    "NcssdConfig",
    "SourceFile",
    "StCodecfakeConfig",
    "VctkConfig",
]
