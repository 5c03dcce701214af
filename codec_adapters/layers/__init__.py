"""Network parts that several codecs share."""
