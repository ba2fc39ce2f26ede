"""Records what transformers' BertModel answers, for a comparison that needs no PyTorch.

With torch, transformers and NumPy installed, from the root of the repository::

    python -m tests.models.torch_outputs.record_bert

It writes `bert.npz` beside itself: with the weights and the texts of `numpy_bert.py`, in eval mode,
the last layer's vector at the first token of each text, padding masked; the same where every token
is real; and the versions that made them.
"""

from pathlib import Path

import numpy as np

from tests.models.torch_outputs.numpy_bert import CONFIG, bert_weights, texts


def main():
    import torch
    import transformers

    torch.use_deterministic_algorithms(True)
    network = transformers.BertModel(transformers.BertConfig(**CONFIG))
    tensors = {name: torch.from_numpy(value) for name, value in bert_weights().items()}
    network.load_state_dict(tensors, strict=True)
    network.double().eval()
    tokens, mask = texts()
    outputs = {"versions": f"torch {torch.__version__}, transformers {transformers.__version__}"}
    for name, real in (("masked", mask), ("whole", np.ones_like(mask))):
        with torch.no_grad():
            answer = network(
                input_ids=torch.from_numpy(tokens).long(),
                attention_mask=torch.from_numpy(real).long(),
            )
        outputs[name] = answer.last_hidden_state[:, 0].float().numpy()
    np.savez_compressed(Path(__file__).with_name("bert.npz"), **outputs)


if __name__ == "__main__":
    main()
