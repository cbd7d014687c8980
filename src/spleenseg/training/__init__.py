"""From a config to a run folder: losses, metrics, the training loop, checkpoints and the files of a run.

Importing this package is light; the modules that need Keras import it themselves.
"""
