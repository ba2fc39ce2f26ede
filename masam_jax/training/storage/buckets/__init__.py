"""Runs in a bucket, ``gs://`` or ``s3://``: a mirror of a local run directory.

Orbax has no driver for ``s3://``, a bucket knows no rename of a folder and no lock, and a run must
be whole whatever kills it. So a run is written to a local directory as every other is, bit for bit,
and each file that is whole there is copied through `etils.epath`, which takes ``gcsfs`` or ``s3fs``
and never TensorFlow:

- `bucket`: the objects below one path, with short errors;
- `mirror`: passes, one every few seconds and one at the end, in an order that leaves a run that can
  be resumed wherever it is cut off: ``config.json``, all other files, each checkpoint with its
  ``SHA256SUMS`` last, then results. Only then is removed what is gone locally;
- `lease`: an object that says who writes into the path, for how long;
- `run_copy`: the local directory of a run in a bucket, and what is brought there to go on.
"""
