"""Score predictions: match them with the ground truth, compute the publication's tables with confidence intervals."""
