"""Checks whether a codec behaves as builds need it to, by passing bundled speech through its adapter."""
