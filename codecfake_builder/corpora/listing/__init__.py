"""How corpora find out which files they have: tables, lists, folder trees, and the values and paths in them."""
