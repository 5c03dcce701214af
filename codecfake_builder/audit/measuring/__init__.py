"""What is measured of every clip, once: features, fingerprint, and how it differs from its source."""
