"""How good a trained network is: one pass over a split (`passes`), figures by case and slice (`cases`), files.

`evaluate.evaluate` does it all. Importing this package, and that module, does not import Keras.
"""
