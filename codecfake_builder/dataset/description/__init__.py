"""What describes a dataset to people and machines: card, certificate of its audit, Croissant, sources and licences."""
