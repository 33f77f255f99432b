"""wilss: weakly incremental learning for semantic segmentation. A pure library; flows live beside it."""
