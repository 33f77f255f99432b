"""Foundation models: category-aware scorers, category-agnostic groupers and their co-segmentation."""
