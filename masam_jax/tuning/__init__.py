"""The search of methods' options, on validation samples and other seeds (extra ``tune``)."""
