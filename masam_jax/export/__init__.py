"""A run's network as one program that needs no masam_jax: StableHLO, by ``jax.export``.

    from masam_jax.export import export_run, load_exported

    exported = load_exported(export_run("runs/mine", "runs/mine/export"))
    prediction = exported({"audio": audio, "video": video})

The extras ``train`` and ``export`` are needed to write it, and to read it by `load_exported`.
"""

from masam_jax.core.extras import needs

with needs("masam_jax.export", "train", "export"):
    import flatbuffers  # noqa: F401 (jax would name it when the first file is written)

    from masam_jax.export.exporting import PLATFORMS, export_run
    from masam_jax.export.loading import ExportedPredictor, load_exported

__all__ = ["PLATFORMS", "ExportedPredictor", "export_run", "load_exported"]
