"""Built-in codec families.

``<family>.py`` holds the family's adapters and loads its checkpoints. Where that is more than a page,
``<family>_network.py`` holds the network and ``<family>_config.py`` reads the network's sizes from the checkpoint.
``variants/<family>.yaml`` lists the family's variants as data. Families share :mod:`.pretrained` (codecs that
``transformers`` carries) and :mod:`.seanet_adapter` (codecs that are a SEANet around a residual quantizer).
"""
