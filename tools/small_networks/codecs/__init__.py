"""Small networks of every codec family, trainable as a whole, and their checkpoints in the official file formats.

Each class builds the family's own network (the adapter's, or the library's) at a few channels per layer, gives the
trainer a differentiable way in (``vectors``) and out (``synthesis``) around the quantizer of
:mod:`tools.small_networks.quantizer`, and writes what was learned as the files that the adapter loads. What the
networks share with their full-size originals: rates, hops, layers, kind of quantizer and of decoder; not their size.
The functions ``random_...`` beside them write checkpoints with random weights, of the settings that tests need.
"""

from __future__ import annotations

from tools.small_networks.base import SmallCodec
from tools.small_networks.codecs.academicodec import HifiCodec
from tools.small_networks.codecs.audiodec import AudioDec
from tools.small_networks.codecs.dac import Dac
from tools.small_networks.codecs.encodec import Encodec
from tools.small_networks.codecs.facodec import Facodec
from tools.small_networks.codecs.funcodec import Funcodec
from tools.small_networks.codecs.mimi import Mimi
from tools.small_networks.codecs.snac import Snac
from tools.small_networks.codecs.speechtokenizer import SpeechTokenizer
from tools.small_networks.codecs.wavtokenizer import WavTokenizer, WavTokenizer40

FAMILIES: dict[str, type[SmallCodec]] = {
    kind.__name__.lower(): kind
    for kind in (
        Mimi,
        SpeechTokenizer,
        Funcodec,
        Encodec,
        Facodec,
        Snac,
        WavTokenizer,
        HifiCodec,
        AudioDec,
        Dac,
        WavTokenizer40,
    )
}
"""Everything that is trained; SoundStream is Lyra's official checkpoint."""
