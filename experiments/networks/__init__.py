"""Networks of one's own for ``masam compare --network``, in NNX, Linen and Equinox."""
