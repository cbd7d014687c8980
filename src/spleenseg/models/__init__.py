"""The networks: a name in the config -> a Keras model, and a trained one out of its run folder.

Importing this package, `registry` and `run_folder` is light: Keras waits until a model is built or loaded.

Every model has the same outside (`build.build_model`): input float32 [N, H, W, C] with values 0..255, the
normalisation of that input inside, then the architecture, then layer `logits` and the last layer
`probability`. So there is one model and one weights file:

* evaluate, infer and export use the model as it is: its output is the probability, float32 [N, H, W, K];
* training uses `build.logits_model(model)`, a view that ends one layer earlier and shares every weight,
  because losses are safe only from logits. Train the view, save the model: `model.save_weights(...)`.

A model has the size it was configured with. Weights do not depend on it: for another size, build again with
another size and load the same weights (`run_folder.load_trained` does, from the registry and run.json).
"""
