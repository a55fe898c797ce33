"""From a model to a smaller one: prune, quantise, distil."""
