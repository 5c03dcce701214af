"""From the bytes of an audio file to its samples: reading, checks that the file is whole, and decoding."""
