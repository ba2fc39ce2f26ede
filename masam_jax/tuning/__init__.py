"""The search of methods' options, on validation samples and other seeds (extra ``tune``)."""

from masam_jax.core.extras import needs

with needs("masam_jax.tuning", "train", "tune"):
    import optuna as optuna
    import sqlalchemy as sqlalchemy
