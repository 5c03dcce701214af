"""``croissant.json``: the description of the dataset in Croissant 1.1, generated from its schema."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from codecfake_builder.dataset import layout
from codecfake_builder.dataset.contents import NO_AUDIO_CONFIG, Contents
from codecfake_builder.dataset.description.card import PAPER
from codecfake_builder.dataset.description.sources import NOT_STATED, SpeechSource, bibliography, licences
from codecfake_builder.dataset.schema import COLUMNS

_TYPES = {
    "string": "sc:Text",
    "bool": "sc:Boolean",
    "float64": "sc:Float",
    "int32": "sc:Integer",
    "label": "sc:Integer",
    "audio": "sc:AudioObject",
}
_CONTEXT = {
    "@language": "en",
    "@vocab": "https://schema.org/",
    "citeAs": "cr:citeAs",
    "column": "cr:column",
    "conformsTo": "dct:conformsTo",
    "containedIn": "cr:containedIn",
    "cr": "http://mlcommons.org/croissant/",
    "data": {"@id": "cr:data", "@type": "@json"},
    "dataType": {"@id": "cr:dataType", "@type": "@vocab"},
    "equivalentProperty": "cr:equivalentProperty",
    "examples": {"@id": "cr:examples", "@type": "@json"},
    "format": "cr:format",
    "isLiveDataset": "cr:isLiveDataset",
    "jsonPath": "cr:jsonPath",
    "parentField": "cr:parentField",
    "path": "cr:path",
    "regex": "cr:regex",
    "repeated": "cr:repeated",
    "replace": "cr:replace",
    "samplingRate": "cr:samplingRate",
    "separator": "cr:separator",
    "subField": "cr:subField",
    "dct": "http://purl.org/dc/terms/",
    "extract": "cr:extract",
    "field": "cr:field",
    "fileObject": "cr:fileObject",
    "fileProperty": "cr:fileProperty",
    "fileSet": "cr:fileSet",
    "includes": "cr:includes",
    "key": "cr:key",
    "md5": "cr:md5",
    "rai": "http://mlcommons.org/croissant/RAI/",
    "recordSet": "cr:recordSet",
    "references": "cr:references",
    "sc": "https://schema.org/",
    "source": "cr:source",
    "transform": "cr:transform",
}


def croissant_text(contents: Contents, speech: Sequence[SpeechSource], files_sha256: str) -> str:
    """Return the text of ``croissant.json``.

    Args:
        contents: splits, classes and specs of the dataset.
        speech: the corpora that the clips come from (:func:`speech_sources`).
        files_sha256: sha256 over the checksum lines of the Parquet files, which serves as the folder's hash.
    """
    recipe = contents.recipe
    document = {
        "@context": _CONTEXT,
        "@type": "sc:Dataset",
        "conformsTo": "http://mlcommons.org/croissant/1.1",
        "name": recipe.name,
        "description": f"{recipe.title}: speech and the same speech re-synthesized through neural audio codecs.",
        "version": "1.0.0",
        "url": PAPER,
        "license": licences(contents, speech) or [NOT_STATED],
        "citeAs": "\n\n".join(bibliography(contents, speech)),
        "rai:dataCollection": f"Speech of {_named(speech)}, re-synthesized through neural audio codecs by a program.",
        "rai:dataUseCases": "Detecting synthetic speech and tracing the codec it came through.",
        "rai:dataLimitations": "Real clips are 16 kHz copies of their sources; what the speech is like, those say.",
        "rai:dataBiases": "Speakers, accents and texts are those of the source corpora.",
        "rai:personalSensitiveInformation": "Voices of the source corpora's speakers; what they agreed to, those say.",
        "rai:dataSocialImpact": "Helps to recognise synthetic speech; must not be used to imitate speakers.",
        "distribution": [
            {
                "@type": "cr:FileObject",
                "@id": "folder",
                "name": "folder",
                "description": "The dataset's folder.",
                "contentUrl": ".",
                "encodingFormat": "git+https",
                "sha256": files_sha256,
            },
            *(_file_set(split) for split in contents.splits),
        ],
        "recordSet": [_record_set(split) for split in contents.splits],
    }
    return json.dumps(document, indent=1, ensure_ascii=False) + "\n"


def _named(speech: Sequence[SpeechSource]) -> str:
    """Return the corpora in words, with their sources."""
    return "; ".join(f"{source.corpus} ({source.title}, {source.source})" for source in speech) or "no corpus"


def _file_set(split: str) -> dict[str, Any]:
    """Describe the Parquet files of a split."""
    return {
        "@type": "cr:FileSet",
        "@id": f"files-{split}",
        "containedIn": {"@id": "folder"},
        "encodingFormat": "application/x-parquet",
        "includes": layout.shard_pattern(split),
    }


def _record_set(split: str) -> dict[str, Any]:
    """Describe the rows of a split, column by column."""
    return {
        "@type": "cr:RecordSet",
        "@id": split,
        "name": split,
        "description": f"The clips of split {split}; without audio: config {NO_AUDIO_CONFIG}.",
        "key": {"@id": f"{split}/id"},
        "field": [
            {
                "@type": "cr:Field",
                "@id": f"{split}/{name}",
                "name": name,
                "description": meaning,
                "dataType": _TYPES[kind],
                "source": {"fileSet": {"@id": f"files-{split}"}, "extract": {"column": name}},
            }
            for name, (kind, meaning) in COLUMNS.items()
        ],
    }
