#!/usr/bin/env python3
"""Golden values of PyTorch, torchvision and transformers for networks whose weights both sides make by one formula, so
that no weights need be stored. Made with torch 1.13.1, torchvision 0.14.1 (Debian 12) and transformers 4.30.2:
    python3 make.py network > network.json
    python3 make.py bert .          # bert/ (a Hugging Face folder of a tiny BERT, as .bin and gamma/beta) and bert.json
"""
import json
import os
import sys

import numpy
import torch
import torchvision

SIDE, BATCH, JOINT, HIDDEN, CLASSES, ORDERS = 64, 6, 64, 16, 4, 6


def fill(count, key, scale, shift=0.0):
    """count values in shift +- scale, from a hash of position and key: exact in any language."""
    i = numpy.arange(count, dtype=numpy.uint64)  # uint64 throughout: numpy would turn mixed ones to float
    u = numpy.uint64
    x = (i * u(2654435761) + u(key) * u(97531)) % u(1 << 32)
    x = (x ^ (x >> u(15))) * u(2246822519) % u(1 << 32)
    x = x ^ (x >> u(13))
    unit = x.astype(numpy.float64) / 2.0**31 - 1.0
    return torch.from_numpy((shift + scale * unit).astype(numpy.float32))


def fill_module(module):
    """Every parameter by its place in named_parameters(): convolutions and linear weights by their fan-in."""
    with torch.no_grad():
        for key, (name, tensor) in enumerate(module.named_parameters()):
            if tensor.dim() > 1:
                fan = tensor[0].numel()
                tensor.copy_(fill(tensor.numel(), key, (6.0 / fan) ** 0.5).view(tensor.shape))
            elif name.endswith("weight"):
                tensor.copy_(fill(tensor.numel(), key, 0.2, 1.0))
            else:
                tensor.copy_(fill(tensor.numel(), key, 0.1))


class LiverVlm(torch.nn.Module):
    def __init__(self, prompts):
        super().__init__()
        self.image = torchvision.models.resnet18()
        self.image.fc = torch.nn.Identity()
        self.fc_i = torch.nn.Linear(512, JOINT)
        self.fc_t = torch.nn.Linear(HIDDEN, JOINT)
        self.prompts = prompts

    def forward(self, images, orders):
        joint = torch.nn.functional.normalize(self.fc_i(self.image(images)), dim=-1)
        own = torch.nn.functional.normalize(self.fc_t(self.prompts), dim=-1)[orders]
        return torch.einsum("nd,ncd->nc", joint, own)


def images():
    return fill(BATCH * 3 * SIDE * SIDE, 1000, 1.0).view(BATCH, 3, SIDE, SIDE)


def prompts():
    return fill(ORDERS * CLASSES * HIDDEN, 1001, 1.0).view(ORDERS, CLASSES, HIDDEN)


def trunk(model):
    fill_module(model)
    model.fc = torch.nn.Identity()
    model.train()
    trained = model(images())
    model.eval()
    return {"train": trained[0, :16].tolist(), "eval": model(images())[0, :16].tolist()}


def losses(optimiser_of):
    model = LiverVlm(prompts())
    fill_module(model)
    optimiser = optimiser_of(model)
    orders = torch.arange(BATCH) % ORDERS
    labels = torch.arange(BATCH) % CLASSES
    model.train()
    found = []
    for _ in range(10):
        optimiser.zero_grad()
        loss = torch.nn.functional.cross_entropy(model(images(), orders), labels)
        loss.backward()
        optimiser.step()
        found.append(loss.item())
    return found


def adamw(model):
    decayed = [p for p in model.parameters() if p.dim() > 1]
    plain = [p for p in model.parameters() if p.dim() <= 1]
    return torch.optim.AdamW([{"params": decayed, "weight_decay": 0.01}, {"params": plain, "weight_decay": 0.0}],
                             lr=5e-4)


def grad_cam():
    """pytorch-grad-cam's recipe on the last map: gradients' mean, weighted sum, ReLU; target: cosine with one class."""
    model = LiverVlm(prompts())
    fill_module(model)
    model.eval()
    kept = []
    model.image.layer4.register_forward_hook(lambda _m, _i, out: (out.retain_grad(), kept.append(out))[0])
    maps, cosines = [], None
    for c in range(CLASSES):
        kept.clear()
        cosines = model(images()[:1], torch.zeros(1, dtype=torch.long))
        cosines[0, c].backward()
        weights = kept[0].grad.mean((2, 3), keepdim=True)
        maps.append(torch.relu((weights * kept[0]).sum(1))[0].flatten().tolist())
    return {"cosine": cosines[0].tolist(), "map": maps}


def network():
    return {
        "torch": torch.__version__, "torchvision": torchvision.__version__,
        "resnet18": trunk(torchvision.models.resnet18()), "resnet50": trunk(torchvision.models.resnet50()),
        "adam": losses(lambda m: torch.optim.Adam(m.parameters(), lr=5e-4)), "adamw": losses(adamw),
        "sgd": losses(lambda m: torch.optim.SGD(m.parameters(), lr=0.01, momentum=0.9)),
        "grad_cam": grad_cam(),
    }


def bert(folder):
    import transformers
    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "a", "ct", "scan", "of", "tumors", "cyst", "##s", ".", ","]
    config = transformers.BertConfig(vocab_size=len(words), hidden_size=32, num_hidden_layers=2, num_attention_heads=4,
                                     intermediate_size=48, max_position_embeddings=24)
    model = transformers.BertModel(config)
    fill_module(model)
    model.eval()
    os.makedirs(folder + "/bert", exist_ok=True)
    with open(folder + "/bert/vocab.txt", "w", encoding="utf-8") as file:
        file.write("\n".join(words) + "\n")
    config.save_pretrained(folder + "/bert")
    state = {"bert." + k.replace("LayerNorm.weight", "LayerNorm.gamma").replace("LayerNorm.bias", "LayerNorm.beta"): v
             for k, v in model.state_dict().items()}
    torch.save(state, folder + "/bert/pytorch_model.bin")
    text = "A CT scan of tumors, cysts."
    tokens = transformers.BertTokenizer(folder + "/bert/vocab.txt")(text, return_tensors="pt")
    hidden = model(**tokens).last_hidden_state[0]
    with open(folder + "/bert.json", "w", encoding="utf-8") as file:
        json.dump({"transformers": transformers.__version__, "text": text, "ids": tokens["input_ids"][0].tolist(),
                   "cls": hidden[0].tolist(), "mean": hidden.mean(0).tolist()}, file, indent=1)


if __name__ == "__main__":
    torch.set_num_threads(1)
    if sys.argv[1] == "bert":
        with torch.no_grad():
            bert(sys.argv[2])
    else:
        print(json.dumps(network(), indent=1))
