"""Evaluation: figures of a model, cross-validation, ablation, comparison with others."""
