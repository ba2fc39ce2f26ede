"""Pickles that are to cost a reader its memory, its time or its machine, by what they do."""

_PROTOCOL = b"\x80\x02"
_ARRAY = b"cnumpy.core.multiarray\n_reconstruct\nq\x00(cnumpy\nndarray\nq\x01K\x00\x85U\x01btq\x02"
_DTYPE = b"cnumpy\ndtype\nU\x02u1K\x00K\x01\x87Rq\x03"
_LONG = 200_000
_BYTES = b"T" + _LONG.to_bytes(4, "little") + bytes(_LONG) + b"q\x05"
_REPEATED = 4000


def _with_dtype(code: bytes, state: bytes) -> bytes:
    dtype = b"cnumpy\ndtype\nU" + bytes([len(code)]) + code + b"K\x00K\x01\x87R"
    return _PROTOCOL + _ARRAY + b"Rq\x04(K\x01K\x01\x85" + dtype + b"\x89" + state + b"tb."


PICKLE_BOMBS: dict[str, bytes] = {
    # A tuple of itself twice, 100 times over: Python hashes 2 ** 100 tuples for a key.
    "tuples as a key": _PROTOCOL + b"})" + b"2\x86" * 100 + b"Ns.",
    "tuples as a key, by the memo": _PROTOCOL + b"})" + b"q\x00h\x00\x86" * 100 + b"Ns.",
    "tuples as keys at once": _PROTOCOL + b"}()" + b"2\x86" * 100 + b"Nu.",
    "tuples as a key of protocol 0": b"(((t" + b"2(h\x00t" * 3 + b"Nd.",
    "one long tuple as many keys": _PROTOCOL
    + b"}("
    + b"N" * 9999
    + b"tq\x000"
    + b"h\x00Ns" * 9999
    + b".",
    "keys of one hash": _PROTOCOL
    + b"}("
    + b"".join(
        b"\x8a\x0c" + (k * (2**61 - 1)).to_bytes(12, "little") + b"N" for k in range(1, 5000)
    )
    + b"u.",
    "an index of 2 ** 28": _PROTOCOL + b"Nr" + (1 << 28).to_bytes(4, "little") + b".",
    "an index of 2 ** 32 - 1": _PROTOCOL + b"Nr\xff\xff\xff\xff.",
    "an index in words": b"Np" + b"9" * 900 + b"\n.",
    "an index below zero": b"Np-1\n.",
    "an index of a million digits": b"Np" + b"9" * 1_000_000 + b"\n.",
    "an index that is not there": _PROTOCOL + b"h\x07.",
    "a number of a million digits": b"I" + b"9" * 1_000_000 + b"\n.",
    "a long number of a million digits": b"L" + b"9" * 1_000_000 + b"L\n.",
    "a fraction of a million digits": b"F0." + b"9" * 1_000_000 + b"\n.",
    "an integer of 2 GB": _PROTOCOL + b"\x8b\xff\xff\xff\x7f.",
    "an integer of less than nothing": _PROTOCOL + b"\x8b\xff\xff\xff\xff.",
    "an integer of 100 kB": _PROTOCOL
    + b"\x8b"
    + (100_000).to_bytes(4, "little")
    + b"\x7f" * 100_000
    + b".",
    "text of 2 ** 63 bytes": b"\x80\x04\x8d" + b"\xff" * 7 + b"\x7f.",
    "text of 2 ** 64 bytes": b"\x80\x04\x8d" + b"\xff" * 8 + b".",
    "bytes of 4 GB": b"\x80\x03B\xff\xff\xff\xff.",
    "an array of 2 ** 62 bytes": b"\x80\x05\x96" + b"\xff" * 7 + b"\x3f.",
    "a frame of 2 ** 63 bytes": b"\x80\x04\x95" + b"\xff" * 7 + b"\x7fN.",
    "a buffer from elsewhere": b"\x80\x05\x97.",
    "a protocol of the future": b"\x80\xff.",
    "lists in lists": b"]" * 100_000 + b"a" * 99_999 + b".",
    "tuples in tuples": _PROTOCOL + b")" + b"\x85" * 100_000 + b".",
    "dicts in dicts": b"}" + b"N}" * 50_000 + b"s" * 50_000 + b".",
    "marks alone": b"(" * 1_000_000,
    "marks and an end": b"(" * 1_000_000 + b".",
    "nothing to end with": b".",
    "nothing to take away": b"0.",
    "a mark that is not there": b"t.",
    "a list that grows from itself": b"]q\x00(" + b"h\x00" * 5000 + b"e.",
    "lists that double": b"]q\x00" + b"]q\x01(h\x00h\x00eq\x00" * 5000 + b".",
    "a long text, often": _PROTOCOL + b"](" + _BYTES + b"h\x05" * 50_000 + b"e.",
    "arrays of the same bytes": _PROTOCOL
    + _ARRAY
    + b"0"
    + _DTYPE
    + b"0"
    + _BYTES
    + b"0]("
    + (b"h\x00h\x02R(K\x01J" + _LONG.to_bytes(4, "little") + b"\x85h\x03\x89h\x05tb") * _REPEATED
    + b"e.",
    "numbers of the same bytes": _PROTOCOL
    + _BYTES
    + b"0cnumpy\ndtype\nU\x07S200000K\x00K\x01\x87Rq\x06"
    b"0cnumpy.core.multiarray\nscalar\nq\x07"
    + b"0]("
    + b"h\x07h\x06h\x05\x86R" * _REPEATED
    + b"e.",
    "bytes of the same text": _PROTOCOL
    + b"c_codecs\nencode\nq\x09X"
    + _LONG.to_bytes(4, "little")
    + b"a" * _LONG
    + b"q\x05U\x06latin1q\x06\x86q\x07]("
    + b"h\x09h\x07R" * _REPEATED
    + b"e.",
    "a function with many arguments": _PROTOCOL
    + b"cnumpy\ndtype\nq\x00(U\x02f8"
    + b"N" * 9999
    + b"tq\x01]("
    + b"h\x00h\x01R" * 9999
    + b"e.",
    "truth values of two": _with_dtype(b"b1", b"U\x01\x02"),
    "no characters": _with_dtype(b"U1", b"U\x04\xff\xff\xff\xff"),
    "an array with a long side": _PROTOCOL
    + _ARRAY
    + b"R(K\x01\x8a\x06\xff\xff\xff\xff\xff\x00K\x00\x86"
    + _DTYPE
    + b"\x89U\x00tb.",
    "arrays in arrays": _PROTOCOL
    + _ARRAY
    + b"0cnumpy\ndtype\nU\x01OK\x00K\x01\x87Rq\x03Nq\x08"
    + b"h\x00h\x02R(K\x01K\x01\x85h\x03\x89]h\x08atbq\x080" * 20_000
    + b"h\x08.",
    "items of an array": _PROTOCOL + _ARRAY + b"RK\x00K\x00s.",
    "attributes of an array": _PROTOCOL + _ARRAY + b"R}U\x05shapeK\x01sb.",
    "an array into a dtype": _PROTOCOL + _DTYPE + _ARRAY + b"Rb.",
    "a list that is called": b"](tR.",
    "a name of a megabyte": b"c" + b"a" * 1_000_000 + b"\nb\n.",
    "a dtype of a megabyte": b"cnumpy\ndtype\n(V" + b"f" * 1_000_000 + b"\nK\x00K\x01tR.",
    "names by the stack": b"\x80\x04\x8c\x02os\x8c\x06system\x93.",
    "names that are none": b"\x80\x04K\x01K\x02\x93.",
    "an object of a class": b"(ibuiltins\nobject\n.",
    "a set": b"\x80\x04\x8f(K\x01\x90.",
    "an unknown opcode": b"\xff.",
}
