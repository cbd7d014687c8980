"""From a trained network and pictures or scans to label maps, in the source's own geometry.

* `segment.segment`: CT scans -> label maps, overlays, millilitres;
* `images.infer`: a folder of pictures -> masks and overlays; `tiling`: those larger than the network;
* `ensemble`, `views`, `smoothing`, `postprocess`: better masks than one answer of a network;
* `predictor.Predictor`: pictures of any size -> probabilities of their size, whichever `engine.Engine` runs;
* `ledger.Ledger`: which files in an output folder are ours.
"""
