"""The two files of an exported network, and what they are called."""

PROGRAM_FILE = "program.jax"
METADATA_FILE = "metadata.json"
EXPORT_FORMAT = "masam_jax export 1"
