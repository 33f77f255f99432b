"""Few-shot segmentation: heads behind one contract on the backbones of the incremental student."""
