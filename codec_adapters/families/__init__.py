"""The built-in codec families: one module each, and ``variants/<family>.yaml``, their settings as data."""
