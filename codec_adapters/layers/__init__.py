"""Network parts that several codec families share. Nothing here reads files or knows adapters."""
