"""Attention as its formulas have it, one pair and one step at a time; and an encoder-decoder, one pair at a time."""

import numpy as np


def softmax(scores):
    e = np.exp(scores - scores.max())
    return e / e.sum()


def look(kind, weights, outputs, memory):
    """out_t and a_ts of one pair: outputs (T, H) of a decoder, memory (S, M); weights as `Attention.weights`."""
    found, looked = [], []
    for h in outputs:
        scores = []
        for m in memory:
            if kind == "dot":
                scores.append(h @ m)
            elif kind == "general":
                scores.append(h @ (weights["weight_key"] @ m))
            else:
                key = weights["weight_key"] @ m + weights["bias_key"]
                scores.append(weights["weight_score"] @ np.tanh(weights["weight_query"] @ h + key))
        a = softmax(np.array(scores))
        c = sum(share * m for share, m in zip(a, memory, strict=True))
        found.append(np.tanh(weights["weight_combine"] @ np.concatenate([h, c]) + weights["bias_combine"]))
        looked.append(a)
    return np.array(found), np.array(looked)


def log_likelihood_steps(model, source, target):
    """Log p of each symbol of a target, and of its end, of an `EncoderDecoder` without dropout; codes (S,) and (T,)."""
    encoder, decoder = model.encoder, model.decoder
    x = np.stack([encoder.embeddings[0].table[k] for k in source])[None]
    memory, state = encoder.network(x, None, encoder.initial_state(1))
    if model.bridge is not None:
        parts, H, L = model.bridge.by_name(model.bridge.vector), encoder.network.hidden_size, encoder.network.num_layers

        def across(part, name):
            both = part.reshape(L, 2, *part.shape[1:])
            each = [
                np.concatenate([both[i, 0], both[i, 1]], axis=-1) @ parts[f"weight_{name}_l{i}"].T
                + parts[f"bias_{name}_l{i}"]
                for i in range(L)
            ]
            return np.stack(each).reshape(L, *part.shape[1:-1], H)

        state = type(state)(across(state.h, "h"), None if state.c is None else across(state.c, "c"))
    mark = model.head.law.n_scores - 1
    found = []
    for given, wanted in zip([mark, *target], [*target, mark], strict=True):
        h, state = decoder.network(decoder.embeddings[0].table[given][None, None], None, state)
        out = h[0]
        if model.attention is not None:
            out, _ = look(model.attention.kind, model.attention.weights, out, memory[0])
        scores = model.head.weights["weight"] @ out[0] + model.head.weights["bias"]
        found.append(np.log(softmax(scores)[wanted]))
    return np.array(found)
